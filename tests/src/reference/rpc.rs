//! The JSON-RPC methods of a node: those of this chain with what they do, and the names of all that a node answers.

use super::{
    source::{camel_case, documentation, return_text, type_text},
    table, Page,
};
use crate::{
    network::{write_chain_spec, NodeProcess, NodeSettings},
    Result,
};
use serde_json::Value;
use std::collections::BTreeMap;
use subxt::rpcs::rpc_params;
use syn::{Attribute, FnArg, Item, ItemStruct, LitStr, Pat, TraitItem, TraitItemFn};

const SOURCE: &str = include_str!("../../../node/src/rpc.rs");

const INTRODUCTION: &str = "\
The methods of this chain are declared in `node/src/rpc.rs`. All others are the SDK's; the list is the answer of `rpc_methods` of
an archive node, and others have no `archive_*`. Unsafe methods are refused to strangers, see
[operating.md](../operating.md#ports). `state_call` reaches the runtime APIs of `primitives/src/runtime_api.rs`.";

/// The page of RPC methods.
pub async fn page() -> Result<Page> {
    let file: syn::File = syn::parse_str(SOURCE)?;
    let structures: Vec<&ItemStruct> = file
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Struct(item) => Some(item),
            _ => None,
        })
        .collect();
    let mut body = String::from("## Methods of this chain\n\n");
    for (name, method) in methods(&file) {
        body += &format!("### `{name}`\n\n{}\n\n", documentation(&method.attrs));
        body += &format!("- Parameters: {}.\n", parameters(method));
        if is_subscription(&method.attrs) {
            body += "- Answer: a subscription.\n\n";
            continue;
        }
        let answer = return_text(&method.sig.output);
        let answer = answer.strip_prefix("RpcResult<").and_then(|text| text.strip_suffix('>')).unwrap_or(&answer);
        body += &format!("- Answer: `{answer}`.\n\n");
        let inner = answer.strip_prefix("Option<").and_then(|text| text.strip_suffix('>')).unwrap_or(answer);
        if let Some(structure) = structures.iter().find(|structure| structure.ident == inner) {
            body += &fields(structure);
            body += "\n";
        }
    }
    body += "## All methods\n\n";
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for method in all().await? {
        let family = method.split('_').next().unwrap_or_default().to_string();
        families.entry(family).or_default().push(format!("`{method}`"));
    }
    body += &table(&["family", "methods"], families.into_iter().map(|(family, names)| vec![family, names.join(", ")]));
    Ok(Page::new("rpc.md", "JSON-RPC methods", INTRODUCTION, &body))
}

/// The methods that the source declares, and their names.
fn methods(file: &syn::File) -> Vec<(String, &TraitItemFn)> {
    let traits = file.items.iter().filter_map(|item| match item {
        Item::Trait(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("rpc")) => Some(item),
        _ => None,
    });
    traits
        .flat_map(|item| &item.items)
        .filter_map(|item| match item {
            TraitItem::Fn(method) => Some((method_name(&method.attrs)?, method)),
            _ => None,
        })
        .collect()
}

fn method_name(attributes: &[Attribute]) -> Option<String> {
    let declares = |attribute: &&Attribute| ["method", "subscription"].iter().any(|it| attribute.path().is_ident(it));
    let attribute = attributes.iter().find(declares)?;
    let mut name = None;
    // What is behind the name is of no interest, and ends the reading.
    let _ = attribute.parse_nested_meta(|meta| {
        if meta.path.is_ident("name") {
            name = Some(meta.value()?.parse::<LitStr>()?.value());
        }
        Ok(())
    });
    name
}

fn is_subscription(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("subscription"))
}

fn parameters(method: &TraitItemFn) -> String {
    let typed = method.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let described: Vec<String> = typed
        .map(|typed| {
            let name = match &*typed.pat {
                Pat::Ident(pattern) => pattern.ident.to_string(),
                _ => "…".into(),
            };
            let of_type = type_text(&typed.ty);
            match of_type.strip_prefix("Option<").and_then(|text| text.strip_suffix('>')) {
                Some(inner) => format!("`{name}`: `{inner}`, may be left out"),
                None => format!("`{name}`: `{of_type}`"),
            }
        })
        .collect();
    if described.is_empty() {
        "none".into()
    } else {
        described.join("; ")
    }
}

/// The fields of an answer, as they are in JSON.
fn fields(structure: &ItemStruct) -> String {
    let is_camel_case = structure.attrs.iter().any(|attribute| {
        attribute.path().is_ident("serde")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().contains("camelCase"))
    });
    let rows = structure.fields.iter().map(|field| {
        let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        let name = if is_camel_case { camel_case(&name) } else { name };
        vec![format!("`{name}`"), format!("`{}`", type_text(&field.ty)), documentation(&field.attrs)]
    });
    format!("{}\n\n{}", documentation(&structure.attrs), table(&["field", "type", "what it is"], rows))
}

/// The names of all methods that a node has.
async fn all() -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let mut process = NodeProcess::start(NodeSettings {
        name: "reference".into(),
        chain: write_chain_spec(folder.path(), "dev", |_| ())?,
        base_path: folder.path().join("node"),
        author: None,
        boot_node: None,
        state_pruning: None,
        clock_offset_ms: 0,
        more: vec![],
    })?;
    let node = process.connect().await?;
    let mut answer: Value = node.rpc().request("rpc_methods", rpc_params![]).await?;
    let mut names: Vec<String> = serde_json::from_value(answer["methods"].take())?;
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_of_the_source_are_found_with_their_parameters() {
        let file: syn::File = syn::parse_str(SOURCE).unwrap();
        let methods = methods(&file);
        let names: Vec<&str> = methods.iter().map(|(name, _)| name.as_str()).collect();
        for expected in ["weir_parameters", "weir_chainWeight", "weir_mining", "weir_supply", "weir_subscribeWork"] {
            assert!(names.contains(&expected), "{expected}");
        }
        let (_, weight) = methods.iter().find(|(name, _)| name == "weir_chainWeight").unwrap();
        assert_eq!(parameters(weight), "`hash`: `Hash`, may be left out");
    }
}
