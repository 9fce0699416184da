//! What is accepted and refused of `[stores.acknowledge]`.

use super::*;

fn acknowledge(lines: &str) -> String {
    format!("{LEAST}[stores.acknowledge]\n{lines}\n")
}

fn parsed(lines: &str) -> Option<Acknowledge> {
    match parse(&acknowledge(lines)) {
        Ok(config) => config.stores[0].acknowledge.clone(),
        Err(error) => panic!("{lines}: {error}"),
    }
}

#[test]
fn every_value_arrives_and_none_is_needed() {
    assert_eq!(parse(LEAST).unwrap().stores[0].acknowledge, None);
    assert_eq!(parsed(""), Some(Acknowledge { file: None, within: None }));
    assert_eq!(parsed("within = \"off\""), Some(Acknowledge { file: None, within: None }));
    let whole = Acknowledge { file: Some("/run/app/ack".into()), within: Some(Duration::from_secs(300)) };
    assert_eq!(parsed("file = \"/run/app/ack\"\nwithin = \"5m\""), Some(whole));
}

#[test]
fn what_could_not_work_is_refused() {
    let config = parse(LEAST).unwrap();
    let (output, state) = (config.output.directory.display(), config.state.directory.display());
    for (lines, key, words) in [
        ("file = \"ack\"", "file", "absolute"),
        ("file = \"/run/\"", "file", "name a file"),
        (&*format!("file = \"{output}/example/ack\""), "file", "lies in the output directory"),
        (&format!("file = \"{state}/ack\""), "file", "lies in the state directory"),
        ("within = \"0s\"", "within", "is zero"),
        ("within = \"8days\"", "within", "\"off\""),
        ("within = 5", "within", "has no unit"),
    ] {
        let refusal = refusal(&acknowledge(lines), &[]);
        assert!(refusal.contains(&format!("stores[0].acknowledge.{key}")), "{lines}: {refusal}");
        assert!(refusal.contains(words), "{lines}: {refusal}");
    }
}

#[test]
fn two_stores_do_not_share_a_file() {
    let second =
        "[[stores]]\nname = \"second\"\npath = \"second\"\n[stores.acknowledge]\nfile = \"/run/ack\"\n";
    let refusal = refusal(&(acknowledge("file = \"/run/ack\"") + second), &[]);
    assert!(
        refusal.contains("stores[1].acknowledge.file: is already stores[0].acknowledge.file"),
        "{refusal}"
    );
}
