//! What each format writes, what it refuses, and what is said of a template.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::OutputFile;

const PLAIN: Values<'static> = Values {
    store: "acme",
    username: "user-1",
    api_token: "0123456789abcdef",
    api_path: "https://store1.mybigcommerce.com/api/v2/",
    host: "store1.mybigcommerce.com",
};
const HOSTILE: &str = "a b\"c\\d'e$f`g#h!i&<j>\u{fc}\u{1f600}\u{2028}";

fn made(format: BuiltIn, values: &Values<'_>) -> Result<String, String> {
    let rendered = Form::BuiltIn(format).render(values);
    rendered.map(|text| text.to_string()).map_err(|refused| refused.reason)
}

fn template(source: &str, escape: Escape) -> Result<Template, String> {
    Template::new(source.to_owned(), escape)
}

fn from_template(source: &str, escape: Escape, values: &Values<'_>) -> Result<String, String> {
    let form = Form::Template(Box::new(template(source, escape)?));
    form.render(values).map(|text| text.to_string()).map_err(|refused| refused.reason)
}

#[test]
fn common_values_are_written_plainly_in_each_format() {
    let path = "https://store1.mybigcommerce.com/api/v2";
    let cases = [
        (BuiltIn::Username, "user-1".to_owned()),
        (BuiltIn::ApiToken, "0123456789abcdef".to_owned()),
        (BuiltIn::ApiPath, format!("{path}/")),
        (
            BuiltIn::Json,
            format!(
                "{{\"username\":\"user-1\",\"api_token\":\"0123456789abcdef\",\"api_path\":\"{path}/\"}}\n"
            ),
        ),
        (
            BuiltIn::Env,
            format!(
                "BIGCOMMERCE_USERNAME=user-1\nBIGCOMMERCE_API_TOKEN=0123456789abcdef\n\
                 BIGCOMMERCE_API_PATH={path}/\n"
            ),
        ),
        (BuiltIn::Properties, format!("username=user-1\napi_token=0123456789abcdef\napi_path={path}/\n")),
        (
            BuiltIn::Yaml,
            format!("username: \"user-1\"\napi_token: \"0123456789abcdef\"\napi_path: \"{path}/\"\n"),
        ),
        (
            BuiltIn::Netrc,
            "machine store1.mybigcommerce.com\nlogin user-1\npassword 0123456789abcdef\n".to_owned(),
        ),
        (
            BuiltIn::SapOpenConnectors,
            format!(
                "{{\"element\":{{\"key\":\"bigcommerce\"}},\"configuration\":{{\"username\":\"user-1\",\
                 \"password\":\"0123456789abcdef\",\"store.url\":\"{path}\"}},\"tags\":[\"acme\"],\"name\":\"acme\"}}\n"
            ),
        ),
    ];
    for (format, text) in cases {
        assert_eq!(made(format, &PLAIN), Ok(text), "{format:?}");
    }
}

#[test]
fn a_value_that_not_every_reader_takes_is_refused_with_advice_and_not_shown() {
    let refused = |format, values: Values<'_>, why: &str| {
        let reason = made(format, &values).unwrap_err();
        assert!(reason.contains(why) && reason.contains("json"), "{format:?}: {reason}");
        assert!(!reason.contains("canary"), "{reason}");
    };
    for byte in (0..=127_u8).filter(|byte| !byte.is_ascii_alphanumeric() && !b"-_./:@%+=,".contains(byte)) {
        let token = format!("canary{}", char::from(byte));
        refused(BuiltIn::Env, Values { api_token: &token, ..PLAIN }, "the API Token has a character other");
    }
    refused(BuiltIn::Env, Values { username: "canary\u{fc}", ..PLAIN }, "the Username");
    refused(BuiltIn::Env, Values { api_path: "https://canary.example/~a/api/v2/", ..PLAIN }, "the API Path");
    for token in ["canary\n", "canary\0", "canary\u{85}", ""] {
        refused(
            BuiltIn::Netrc,
            Values { api_token: token, ..PLAIN },
            "the API Token is empty or has a line break",
        );
    }
    let long = "canary".repeat(1000);
    refused(BuiltIn::Netrc, Values { api_token: &long, ..PLAIN }, "too long for curl");
    let quotes = "\"".repeat(2048);
    refused(BuiltIn::Netrc, Values { username: &quotes, ..PLAIN }, "too long for curl");
    for host in ["[::1]", "canary.example."] {
        let reason = made(BuiltIn::Netrc, &Values { host, ..PLAIN }).unwrap_err();
        assert!(reason.contains("the API Path names its host"), "{reason}");
    }
}

#[test]
fn a_long_value_comes_through_and_one_beyond_the_limit_does_not() {
    let long = HOSTILE.repeat(3000);
    assert!(long.len() > 64 << 10);
    for format in [BuiltIn::Json, BuiltIn::Yaml, BuiltIn::Properties, BuiltIn::ApiToken] {
        assert!(made(format, &Values { api_token: &long, ..PLAIN }).unwrap().len() >= long.len());
    }
    let longer = "\0".repeat(MAX_LENGTH / 4);
    let reason = made(BuiltIn::Json, &Values { api_token: &longer, ..PLAIN }).unwrap_err();
    assert_eq!(reason, "it would be longer than 1048576 bytes");
}

#[test]
fn json_is_read_back_whatever_is_in_it() {
    let all: String = (0..=0x2fff_u32).chain(0x1f600..0x1f610).filter_map(char::from_u32).collect();
    let text = made(BuiltIn::Json, &Values { username: &all, api_token: HOSTILE, ..PLAIN }).unwrap();
    assert!(text.is_ascii());
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((read["username"].as_str(), read["api_token"].as_str()), (Some(&*all), Some(HOSTILE)));
    let text =
        made(BuiltIn::SapOpenConnectors, &Values { username: &all, api_token: HOSTILE, ..PLAIN }).unwrap();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    let configuration = &read["configuration"];
    assert_eq!(
        (configuration["username"].as_str(), configuration["password"].as_str()),
        (Some(&*all), Some(HOSTILE))
    );
}

#[test]
fn a_template_writes_each_value_as_its_target_wants_it() {
    let values = Values { username: "a\"<b>'c\\", ..PLAIN };
    for (escape, written) in [
        (Escape::None, "a\"<b>'c\\"),
        (Escape::Json, "\"a\\\"<b>'c\\\\\""),
        (Escape::Yaml, "\"a\\\"<b>'c\\\\\""),
        (Escape::Properties, "a\"<b>'c\\\\"),
        (Escape::Shell, "'a\"<b>'\\''c\\'"),
        (Escape::Html, "a&#34;&lt;b&gt;&#39;c\\"),
    ] {
        assert_eq!(
            from_template("{{ username }}\n", escape, &values),
            Ok(format!("{written}\n")),
            "{escape:?}"
        );
    }
    let reason = from_template("x\n{{ username }}", Escape::Env, &values).unwrap_err();
    assert!(reason.starts_with("line 2: the value has a character other"), "{reason}");
    let reason =
        from_template("{{ username }}", Escape::Shell, &Values { username: "a\0", ..PLAIN }).unwrap_err();
    assert!(reason.contains("NUL"), "{reason}");
}

#[test]
fn a_template_knows_the_store_and_can_put_values_together() {
    let source = "{% set pair = username ~ ':' ~ api_token %}{{ store }} {{ host }} {{ api_path }} {{ pair }} {{ basic }}\
                  {% if username %} yes{% endif %}{% for item in [1, 'two'] %} {{ item }}{% endfor %}\
                  {% set block %}<{{ store }}>{% endset %}{{ block }}{{ 'x' if false }}";
    let text = from_template(source, Escape::None, &PLAIN).unwrap();
    assert_eq!(
        text,
        "acme store1.mybigcommerce.com https://store1.mybigcommerce.com/api/v2/ user-1:0123456789abcdef \
         dXNlci0xOjAxMjM0NTY3ODlhYmNkZWY= yes 1 two<acme>"
    );
    // Put together or captured, a value is escaped, and once.
    let values = Values { username: "\"", ..PLAIN };
    let source = "{{ username ~ 1 }}{% set block %}{{ username }}{% endset %}{{ block }}";
    assert_eq!(from_template(source, Escape::Json, &values), Ok("\"\\\"1\"\"\\\"\"".to_owned()));
}

#[test]
fn what_is_wrong_with_a_template_is_found_before_there_are_values() {
    for (source, why) in [
        ("{{ username", "line 1: syntax error: unexpected end of input"),
        ("\n{% if username %}", "line 2: syntax error: unexpected end of input"),
        (
            "{{ user_name }}",
            "it names 'user_name', which does not exist; there are: store, username, api_token",
        ),
        ("{% if false %}{{ tokn }}{% endif %}", "it names 'tokn'"),
        ("{{ username.first }}", "line 1: undefined value"),
        ("{{ username | upper }}", "line 1: unknown filter"),
        ("{% include 'other' %}", "line 1: syntax error"),
        ("{{ api_token + 1 }}", "line 1: invalid operation"),
    ] {
        let is = template(source, Escape::None).unwrap_err();
        assert!(is.contains(why), "{source}: {is}");
    }
    let is = template(
        &format!("{{% for x in {:?} %}}{}{{% endfor %}}", [0; 100], "x".repeat(60_000)),
        Escape::None,
    );
    assert_eq!(is.unwrap_err(), "it would be longer than 1048576 bytes");
    let (begin, end) = (format!("{{% for x in {:?} %}}", [0; 100]), "{% endfor %}");
    let is = template(&format!("{}{}", begin.repeat(5), end.repeat(5)), Escape::None);
    assert_eq!(is.unwrap_err(), "line 1: it takes more than 100000 steps: loop less");
}

fn files(list: &[(&str, Format)]) -> Files {
    let file =
        |(name, format): &(&str, Format)| OutputFile { name: (*name).to_owned(), format: format.clone() };
    Files { at: "output.files".to_owned(), list: list.iter().map(file).collect() }
}

fn fingerprint(renderer: &Renderer) -> Option<Fingerprint> {
    let key = FingerprintKey::new(&[7; 32]);
    let credentials = crate::publish::tests::credentials(1);
    renderer.render(&StoreName::parse("acme").unwrap(), &credentials, &key).unwrap().fingerprint
}

#[test]
fn a_fingerprint_tells_other_files_apart_and_nothing_else() {
    let json = |name| (name, Format::BuiltIn(BuiltIn::Json));
    let yaml = |name| (name, Format::BuiltIn(BuiltIn::Yaml));
    let of = |list: &[_]| fingerprint(&Renderer::new(&files(list), |_| unreachable!()).unwrap());
    assert_eq!(fingerprint(&Renderer::default()), None);
    let mut usual = Files::default();
    usual.list.reverse();
    assert_eq!(fingerprint(&Renderer::new(&usual, |_| unreachable!()).unwrap()), None);
    let one = of(&[json("a"), yaml("b")]);
    assert!(one.is_some());
    assert_eq!(of(&[yaml("b"), json("a")]), one);
    for other in [&[json("a")][..], &[yaml("a"), json("b")], &[json("a"), yaml("c")]] {
        assert_ne!(of(other), one);
    }
    let of = |text: &'static str| {
        let form = Format::Template { file: PathBuf::from("/t"), escape: Escape::None };
        fingerprint(&Renderer::new(&files(&[("a", form)]), |_| Ok(text.to_owned())).unwrap())
    };
    assert_ne!(of("x {{ username }}"), of("y {{ username }}"));
}

#[test]
fn all_that_is_wrong_with_a_list_is_told_with_its_place() {
    let form = |path: &str| Format::Template { file: PathBuf::from(path), escape: Escape::None };
    let list = files(&[("a", form("/missing")), ("b", Format::BuiltIn(BuiltIn::Json)), ("c", form("/bad"))]);
    let read = |path: &Path| match path.to_str() {
        Some("/bad") => Ok("{{".to_owned()),
        _ => Err("cannot be read: no".to_owned()),
    };
    let problems = Renderer::new(&list, read).unwrap_err();
    assert_eq!(problems[0], (0, "/missing cannot be read: no".to_owned()));
    assert!(problems[1].0 == 2 && problems[1].1.starts_with("/bad: line 1: syntax error"), "{problems:?}");
}

#[test]
fn nothing_that_can_be_printed_holds_a_value() {
    let template = template("{{ username }}", Escape::None).unwrap();
    let form = Form::Template(Box::new(template));
    assert_eq!(format!("{form:?}"), "Template");
}
