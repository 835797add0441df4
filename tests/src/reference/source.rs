//! What sources say of themselves: documentation and types of their items.

use syn::{
    Attribute, Expr, ExprLit, GenericArgument, Lit, Meta, MetaNameValue, PathArguments, ReturnType, Type, TypePath,
};

/// The documentation comment of an item, in one line, without links.
pub fn documentation(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(MetaNameValue { path, value: Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), .. })
            if path.is_ident("doc") =>
        {
            Some(text.value().trim().to_string())
        },
        _ => None,
    };
    let lines: Vec<String> = attributes.iter().filter_map(line).filter(|line| !line.is_empty()).collect();
    lines.join(" ").replace("[`", "`").replace("`]", "`")
}

/// A type as the source has it, without the modules that it comes from.
pub fn type_text(wanted: &Type) -> String {
    let Type::Path(TypePath { path, .. }) = wanted else { return "…".into() };
    let Some(segment) = path.segments.last() else { return "…".into() };
    let name = segment.ident.to_string();
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return name };
    let arguments: Vec<String> = arguments
        .args
        .iter()
        .filter_map(|argument| match argument {
            GenericArgument::Type(inner) => Some(type_text(inner)),
            _ => None,
        })
        .collect();
    format!("{name}<{}>", arguments.join(", "))
}

/// The type that a function returns.
pub fn return_text(returned: &ReturnType) -> String {
    match returned {
        ReturnType::Default => "()".into(),
        ReturnType::Type(_, inner) => type_text(inner),
    }
}

/// The name that serde gives a field whose structure is renamed to camel case.
pub fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_string();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        name + &initial.to_ascii_uppercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_described_by_its_comment_and_its_types() {
        let file: syn::File = syn::parse_str(
            "/// One\n/// [`Two`].\n///\n/// Three.\nstruct S { f: crate::a::Option<b::Hash>, }\nfn g() -> u64 { 1 }",
        )
        .unwrap();
        let syn::Item::Struct(item) = &file.items[0] else { panic!("no struct") };
        assert_eq!(documentation(&item.attrs), "One `Two`. Three.");
        assert_eq!(type_text(&item.fields.iter().next().unwrap().ty), "Option<Hash>");
        let syn::Item::Fn(function) = &file.items[1] else { panic!("no function") };
        assert_eq!(return_text(&function.sig.output), "u64");
    }

    #[test]
    fn names_are_those_that_serde_gives() {
        assert_eq!(camel_case("least_time_us"), "leastTimeUs");
        assert_eq!(camel_case("version"), "version");
    }
}
