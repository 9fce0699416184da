//! What is accepted and refused of `[[output.files]]` and `[[stores.files]]`.

use super::*;

/// The shortest configuration, and these tables of files after `[output]`.
fn output(tables: &str) -> String {
    LEAST.replacen("[[stores]]", &format!("{tables}\n[[stores]]"), 1)
}

fn listed(text: &str) -> Vec<OutputFile> {
    match parse(text) {
        Ok(config) => config.stores[0].files.list.clone(),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn file(lines: &str) -> OutputFile {
    listed(&output(&format!("[[output.files]]\n{lines}"))).remove(0)
}

fn refused(tables: &str, key: &str, words: &str) {
    let refusal = refusal(&output(tables), &[]);
    assert!(refusal.contains(key) && refusal.contains(words), "{tables}: {refusal}");
}

#[test]
fn without_a_list_there_are_the_three_values() {
    let names: Vec<String> = listed(LEAST).into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["username", "api_token", "api_path"]);
    // Stores without a list of their own share one.
    let config = parse(&format!("{LEAST}[[stores]]\nname = \"two\"\npath = \"two\"\n")).unwrap();
    assert_eq!(lists_of_files(&config).len(), 1);
}

#[test]
fn each_format_is_known_by_its_name() {
    for (name, format) in [
        ("username", BuiltIn::Username),
        ("api_token", BuiltIn::ApiToken),
        ("api_path", BuiltIn::ApiPath),
        ("json", BuiltIn::Json),
        ("env", BuiltIn::Env),
        ("properties", BuiltIn::Properties),
        ("yaml", BuiltIn::Yaml),
        ("netrc", BuiltIn::Netrc),
        ("sap_open_connectors", BuiltIn::SapOpenConnectors),
    ] {
        let is = file(&format!("name = \".a-B_3.x\"\nformat = \"{name}\""));
        assert_eq!(is, OutputFile { name: ".a-B_3.x".into(), format: Format::BuiltIn(format) });
    }
    refused(
        "[[output.files]]\nname = \"a\"\nformat = \"toml\"",
        "output.files[0].format",
        "must be one of \"username\"",
    );
}

#[test]
fn a_store_may_have_files_of_its_own_instead() {
    let text = output("[[output.files]]\nname = \"a.json\"\nformat = \"json\"");
    let text = format!(
        "{text}[[stores.files]]\nname = \"b\"\nformat = \"env\"\n[[stores.files]]\nname = \"c\"\nformat = \"yaml\"\n\
         [[stores]]\nname = \"two\"\npath = \"two\"\n"
    );
    let config = parse(&text).unwrap();
    // That of `[output]` is checked also where no store uses it.
    assert_eq!(lists_of_files(&config).len(), 2);
    let names =
        |at: usize| -> Vec<_> { config.stores[at].files.list.iter().map(|file| &*file.name).collect() };
    assert_eq!((names(0), names(1)), (vec!["b", "c"], vec!["a.json"]));
    assert_eq!(config.stores[0].files.at, "stores[0].files");
    let refusal = refusal(&text.replace("\"b\"", "\"c\""), &[]);
    assert!(
        refusal.contains("stores[0].files[1].name: is already the name of the file on line"),
        "{refusal}"
    );
}

#[test]
fn a_template_writes_values_as_the_ending_says_unless_told_otherwise() {
    let path = "format = \"template\"\ntemplate = \"/t\"";
    for (name, escape) in [
        ("a.json", Escape::Json),
        ("a.b.yml", Escape::Yaml),
        ("a.yaml", Escape::Yaml),
        ("app.properties", Escape::Properties),
        (".env", Escape::Env),
        ("a.sh", Escape::Shell),
        ("a.xml", Escape::Html),
    ] {
        let format = Format::Template { file: "/t".into(), escape };
        assert_eq!(file(&format!("name = \"{name}\"\n{path}")).format, format, "{name}");
    }
    let format = Format::Template { file: "/t".into(), escape: Escape::None };
    assert_eq!(file(&format!("name = \"a.json\"\n{path}\nescape = \"none\"")).format, format);
    for name in ["app.conf", "json", "JSON"] {
        let words =
            "is missing; the name does not tell how values are written in this file; write one of \"none\"";
        refused(&format!("[[output.files]]\nname = \"{name}\"\n{path}"), "output.files[0].escape", words);
    }
    let table = "[[output.files]]\nname = \"a.json\"\nformat = \"template\"\n";
    refused(table, "output.files[0].template", "is missing; write template = ");
    refused(&format!("{table}template = \"t\""), "output.files[0].template", "absolute");
    refused(
        &format!("{table}template = \"/t\"\nescape = \"xml\""),
        "output.files[0].escape",
        "must be one of",
    );
    let table = "[[output.files]]\nname = \"a.json\"\nformat = \"json\"\n";
    refused(
        &format!("{table}template = \"/t\""),
        "output.files[0].template",
        "belongs to format = \"template\"",
    );
    refused(
        &format!("{table}escape = \"json\""),
        "output.files[0].escape",
        "belongs to format = \"template\"",
    );
}

#[test]
fn a_name_that_is_no_safe_and_single_file_is_refused() {
    let long = "a".repeat(129);
    for (name, words) in [
        ("a/b", "no safe file name"),
        ("/etc/passwd", "no safe file name"),
        ("-rf", "no safe file name"),
        ("a b", "no safe file name"),
        ("caf\u{e9}", "no safe file name"),
        (".", "belong to the layout"),
        ("..", "belong to the layout"),
        ("..data", "belong to the layout"),
        ("generation.json", "is there always"),
        ("Generation.JSON", "is there always"),
        (&long, "has 129 characters"),
        ("", "is empty"),
    ] {
        let table = format!("[[output.files]]\nname = \"{name}\"\nformat = \"json\"");
        refused(&table, "output.files[0].name", words);
    }
    let table = |name| format!("[[output.files]]\nname = \"{name}\"\nformat = \"json\"\n");
    refused(&(table("a") + &table("A")), "output.files[1].name", "is already the name of the file on line");
    file(&format!("name = \"{}\"\nformat = \"json\"", "a".repeat(128)));
    refused("[[output.files]]\nformat = \"json\"", "output.files[0].name", "is missing");
    refused("[[output.files]]\nname = \"a\"", "output.files[0].format", "is missing");
}

#[test]
fn the_names_of_the_values_hold_the_values() {
    for (name, format) in [("username", "json"), ("api_token", "api_path"), ("API_Path", "api_path")] {
        let table = format!("[[output.files]]\nname = \"{name}\"\nformat = \"{format}\"");
        refused(&table, "output.files[0].format", "holds this value alone");
    }
    let table =
        "[[output.files]]\nname = \"username\"\nformat = \"template\"\ntemplate = \"/t\"\nescape = \"none\"";
    refused(table, "output.files[0].format", "holds this value alone");
    assert_eq!(file("name = \"user\"\nformat = \"username\"").name, "user");
}

#[test]
fn a_list_has_an_entry_and_not_too_many() {
    refused("files = []", "output.files", "is an empty list");
    refused("[output.files]\nname = \"a\"", "output.files", "begin each file with the line [[output.files]]");
    let refusal = refusal(&format!("{LEAST}files = 3\n"), &[]);
    assert!(refusal.contains("stores[0].files: must be a list of tables"), "{refusal}");
    assert!(refusal.contains("[[stores.files]]"), "{refusal}");
    let table = |at: usize| format!("[[output.files]]\nname = \"{at}\"\nformat = \"json\"\n");
    refused(&(0..33).map(table).collect::<String>(), "output.files", "has 33 files; at most 32");
    assert_eq!(listed(&output(&(0..32).map(table).collect::<String>())).len(), 32);
    refused("[[output.files]]\nnam = \"a\"", "output.files[0].nam", "did you mean name?");
}
