//! The functions of the PKCS#11 module, from its function list.

use std::fmt::Write as _;

const GROUPS: [(&str, &str); 8] = [
    ("general", "The library, slots, mechanisms, random"),
    ("session", "Sessions and log-in"),
    ("object", "Objects"),
    ("key", "Keys"),
    ("digest", "Digests"),
    ("sign", "Signatures and MACs"),
    ("cipher", "Encryption"),
    ("message", "Messages (AES-GCM by message)"),
];

/// The functions of the newest list, with the module that serves each.
fn functions() -> Vec<(String, String)> {
    let list = crate::source("crates/pkcs11/src/interfaces.rs");
    let lines = list.lines().skip_while(|line| !line.contains("static LIST_3_2")).skip(1);
    let lines = lines.take_while(|line| *line != "};");
    let functions = lines.filter_map(|line| {
        let (name, rest) = line.trim().split_once(": Some(")?;
        Some((name.to_owned(), rest.split("::").next()?.to_owned()))
    });
    functions.collect()
}

fn page() -> String {
    let functions = functions();
    let mut page = format!(
        "# PKCS#11\n\n\
         `libcasemate_pkcs11.so` has the interfaces 2.40, 3.0 and 3.2 with {} functions. One slot per cluster, its token always there;\n\
         the PIN is `user:password` of a crypto user (`CU:user:password` where a role must be named). Handles are the same in every process, and a\n\
         restart of an HSM is not an error. What it can do: [mechanisms](mechanisms.md), [attributes](attributes.md), [limits](limits.md).\n\n\
         ## Functions\n\n| group | functions |\n| --- | --- |\n",
        functions.len()
    );
    let mut shown = 0;
    for (module, title) in GROUPS {
        let module =
            |(_, of): &&(String, String)| of == module || (module == "general" && of == "crate");
        let names: Vec<_> =
            functions.iter().filter(module).map(|(name, _)| format!("`{name}`")).collect();
        shown += names.len();
        writeln!(page, "| {title} | {} |", names.join(", ")).unwrap();
    }
    let refused = functions.iter().filter(|(_, module)| module == "unsupported").count();
    assert_eq!(shown + refused, functions.len(), "every function is in a group");
    page.push_str(
        "\n## Functions that are refused\n\nWith `CKR_FUNCTION_NOT_SUPPORTED`, or as the standard has it for legacy functions:\n\n",
    );
    let source = crate::source("crates/pkcs11/src/entry/unsupported.rs");
    for row in source.lines().filter_map(|line| line.strip_prefix("//! |")) {
        writeln!(page, "|{row}").unwrap();
    }
    page
}

#[test]
fn functions_are_those_of_the_list() {
    crate::check("pkcs11.md", &page());
}
