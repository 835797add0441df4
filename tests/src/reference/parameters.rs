//! The parameters of a chain: the fields of `weir_primitives::parameters`, and their values on each preset.

use super::{
    source::{camel_case, documentation, type_text},
    table, Page,
};
use crate::Result;
use serde_json::Value;
use sp_core::U256;
use syn::{File, Item, ItemStruct};

const SOURCE: &str = include_str!("../../../primitives/src/parameters.rs");
/// Where the section of the registry stands.
const REGISTRY: &str = include_str!("../../../primitives/src/registry.rs");
/// Where that of finality stands.
const FINALITY: &str = include_str!("../../../primitives/src/finality.rs");

const INTRODUCTION: &str = "\
What a chain fixes at genesis, and the values on each preset of the runtime. The structure is `Parameters` in
`primitives/src/parameters.rs`, where `Parameters::check` has the rules across parameters; that of `registry` is in
`primitives/src/registry.rs`, that of `finality` in `primitives/src/finality.rs`, and the values stand in `runtime/src/genesis.rs`. What can be tuned while a chain runs, and how far, is in
`runtime/src/tunables.rs`. Names are those of a chain spec, below `genesis.runtimeGenesis.patch.difficulty.parameters`, and of the
answer of `weir_parameters`. In both, difficulties are hexadecimal strings.";

/// The page of parameters.
pub fn page() -> Result<Page> {
    let mut file: File = syn::parse_str(SOURCE)?;
    file.items.extend(syn::parse_str::<File>(REGISTRY)?.items);
    file.items.extend(syn::parse_str::<File>(FINALITY)?.items);
    let presets = presets()?;
    let root = structure(&file, "Parameters").ok_or("primitives/src/parameters.rs has no structure Parameters")?;
    let mut body = String::new();
    let mut single = Vec::new();
    for field in &root.fields {
        let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = camel_case(&name);
        match structure(&file, &type_text(&field.ty)) {
            Some(section) => {
                body += &format!("\n## `{key}`\n\n{}\n\n", documentation(&section.attrs));
                let rows = section.fields.iter().map(|field| row(field, &presets, Some(key.as_str())));
                body += &table(&head(&presets), rows.collect::<Result<Vec<_>>>()?);
            },
            None => single.push(row(field, &presets, None)?),
        }
    }
    let body = format!("{}{body}", table(&head(&presets), single));
    Ok(Page::new("parameters.md", "Parameters", INTRODUCTION, &body))
}

/// The name and the parameters of each preset.
fn presets() -> Result<Vec<(String, Value)>> {
    weir_runtime::genesis::preset_names()
        .into_iter()
        .map(|name| {
            let patch = weir_runtime::genesis::get_preset(&name).ok_or_else(|| format!("there is no preset {name}"))?;
            let mut patch: Value = serde_json::from_slice(&patch)?;
            Ok((name, patch["difficulty"]["parameters"].take()))
        })
        .collect()
}

fn structure<'a>(file: &'a File, name: &str) -> Option<&'a ItemStruct> {
    file.items.iter().find_map(|item| match item {
        Item::Struct(item) if item.ident == name => Some(item),
        _ => None,
    })
}

fn head(presets: &[(String, Value)]) -> Vec<&str> {
    ["parameter", "unit"]
        .into_iter()
        .chain(presets.iter().map(|(name, _)| name.as_str()))
        .chain(["what it is"])
        .collect()
}

fn row(field: &syn::Field, presets: &[(String, Value)], section: Option<&str>) -> Result<Vec<String>> {
    let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    let key = camel_case(&name);
    let mut cells = vec![format!("`{key}`"), unit(&name, &type_text(&field.ty)).into()];
    for (preset, parameters) in presets {
        let scope = section.map_or(parameters, |section| &parameters[section]);
        cells.push(number(&scope[&key]).ok_or_else(|| format!("the preset {preset} has no number {key}"))?);
    }
    cells.push(documentation(&field.attrs));
    Ok(cells)
}

/// The unit of a field, which its type or its name says.
fn unit(name: &str, of_type: &str) -> &'static str {
    match of_type {
        "Milliseconds" => "ms",
        "BlockNumber" => "blocks",
        "Balance" => "planck",
        "Difficulty" => "hashes",
        _ if name.ends_with("_us") => "µs",
        _ if name.ends_with("_bits_per_second") => "bit/s",
        _ if name.ends_with("_blocks") => "blocks",
        _ => "",
    }
}

/// A number of JSON, or a hexadecimal string, in groups of three digits.
fn number(value: &Value) -> Option<String> {
    let digits = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => U256::from_str_radix(text.strip_prefix("0x")?, 16).ok()?.to_string(),
        Value::Bool(flag) => return Some(flag.to_string()),
        _ => return None,
    };
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    Some(grouped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_difficulties_are_decimal() {
        let shown = |value: Value| number(&value);
        assert_eq!(shown(1_000.into()).as_deref(), Some("1 000"));
        assert_eq!(shown(15.into()).as_deref(), Some("15"));
        assert_eq!(shown("0x186a0".into()).as_deref(), Some("100 000"));
        assert_eq!(shown("many".into()), None);
    }

    #[test]
    fn every_parameter_of_every_preset_is_on_the_page_with_what_it_is() {
        let page = page().unwrap();
        let presets = presets().unwrap();
        assert_eq!(presets.len(), 3);
        for (name, parameters) in presets {
            let sections = parameters.as_object().unwrap().values().filter_map(Value::as_object);
            for key in sections.flat_map(|section| section.keys()).chain([&"version".to_string()]) {
                assert!(page.text.contains(&format!("| `{key}` |")), "{key} of {name} is not on the page");
            }
        }
        for line in page.text.lines().filter(|line| line.starts_with("| `")) {
            assert!(!line.ends_with("|  |"), "nothing says what this is: {line}");
        }
    }
}
