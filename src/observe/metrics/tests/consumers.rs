//! What is made of the metrics elsewhere: rules, dashboard and README name those that there are, with their labels.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const ALERTS: &str = include_str!("../../../../deploy/prometheus/alerts.yml");
const RECORDING: &str = include_str!("../../../../deploy/prometheus/recording.yml");
const RULES_TEST: &str = include_str!("../../../../deploy/prometheus/rules_test.yml");
const RUNBOOK: &str = include_str!("../../../../deploy/prometheus/runbook.md");
const DASHBOARD: &str = include_str!("../../../../deploy/grafana/bc-secrets-sync.json");
const README: &str = include_str!("../../../../README.md");

/// Labels that Prometheus adds to each series of a target.
const TARGET: [&str; 2] = ["job", "instance"];
/// Labels whose values are closed sets of words.
const CLOSED: [&str; 5] = ["state", "verdict", "cause", "reason", "result"];

/// The labels of a metric, and the values that each has.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Every name that a sample may have, as the other tests have it written down.
fn metrics() -> BTreeMap<String, Labels> {
    let mut metrics = BTreeMap::<String, Labels>::new();
    for line in include_str!("../golden.prometheus.txt").lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let known = metrics.entry(name.to_owned()).or_default();
        for (label, _, value) in matchers(labels.trim_end_matches('}')) {
            known.entry(label).or_default().insert(value);
        }
    }
    metrics
}

/// The matchers of a selector: label, operator and value.
fn matchers(selector: &str) -> Vec<(String, String, String)> {
    let parts: Vec<&str> = selector.split('"').collect();
    let pairs = parts.chunks_exact(2).map(|pair| (pair[0].trim_matches([',', ' ']), pair[1].to_owned()));
    let matcher = |(before, value): (&str, String)| {
        let at = before.find(['=', '!'])?;
        Some((before[..at].to_owned(), before[at..].to_owned(), value))
    };
    pairs.filter_map(matcher).collect()
}

/// What an expression names: each metric of ours, and its selector.
fn named(expression: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for start in ["bc_secrets_sync_", "process_"] {
        for (at, _) in expression.match_indices(start) {
            let before = expression[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':') {
                continue;
            }
            let rest = &expression[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let selector = rest.strip_prefix('{').map_or("", |rest| &rest[..rest.find('}').unwrap()]);
            found.push((name, selector));
        }
    }
    found
}

/// What is wrong with an expression, and with a text that shows labels of its result.
fn check(expression: &str, text: &str, metrics: &BTreeMap<String, Labels>) -> Vec<String> {
    let (mut wrong, mut labels) = (Vec::new(), BTreeSet::from(TARGET.map(str::to_owned)));
    for (name, selector) in named(expression) {
        let Some(known) = metrics.get(name) else {
            wrong.push(format!("there is no {name}"));
            continue;
        };
        labels.extend(known.keys().cloned());
        for (label, operator, value) in matchers(selector) {
            if !known.contains_key(&label) && !TARGET.contains(&label.as_str()) {
                wrong.push(format!("{name} has no label {label}"));
            } else if CLOSED.contains(&label.as_str()) {
                let words = value.split('|').filter(|word| operator.contains('~') || *word == value);
                let unknown = words.filter(|word| !known[&label].contains(*word));
                wrong.extend(unknown.map(|word| format!("{name} has no {label}=\"{word}\"")));
            }
        }
    }
    for keyword in ["by", "on", "ignoring", "group_left", "without"] {
        for part in
            expression.split(&format!("{keyword} (")).chain(expression.split(&format!("{keyword}("))).skip(1)
        {
            let Some((list, _)) = part.split_once(')') else { continue };
            let is_list = list.chars().all(|c| c.is_ascii_alphanumeric() || "_, ".contains(c));
            for label in list.split(',').map(str::trim).filter(|label| is_list && !label.is_empty()) {
                if !labels.contains(label) {
                    wrong.push(format!("no metric has the label {label}"));
                }
            }
        }
    }
    for part in text.split("{{").skip(1) {
        let shown = part.split("}}").next().unwrap().trim().trim_start_matches("$labels.");
        if !shown.starts_with("$value") && !labels.contains(shown) {
            wrong.push(format!("no metric has the label {shown}, which is shown"));
        }
    }
    wrong
}

/// The rules of a file: name and text.
fn rules(file: &'static str, kind: &str) -> Vec<(&'static str, &'static str)> {
    let blocks = file.split(kind).skip(1);
    blocks.map(|block| block.split_once('\n').map(|(name, rest)| (name.trim(), rest)).unwrap()).collect()
}

/// Everything in the dashboard that is asked of Prometheus: the expression, and what is shown of its labels.
fn queries(value: &Value, found: &mut Vec<(String, String)>) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    match value {
        Value::Object(fields) => {
            let shown = text(fields.get("legendFormat")) + &text(fields.get("titleFormat"));
            found.extend(fields.get("expr").map(|expr| (text(Some(expr)), shown)));
            found.extend(fields.get("definition").map(|query| (text(Some(query)), String::new())));
            fields.values().for_each(|value| queries(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn rules_name_metrics_and_labels_that_there_are() {
    let metrics = metrics();
    for (name, rule) in rules(ALERTS, "- alert: ").into_iter().chain(rules(RECORDING, "- record: ")) {
        assert_eq!(check(rule, rule, &metrics), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_wrong_name_a_wrong_label_and_a_wrong_word_are_found() {
    let metrics = metrics();
    for (expression, shown, wrong) in [
        ("bc_secrets_sync_up == 0", "", "there is no bc_secrets_sync_up"),
        ("rate(bc_secrets_sync_checks_total{store=\"a\"}[5m])", "", "has no label store"),
        ("bc_secrets_sync_stores{state=\"revoked\"}", "", "has no state=\"revoked\""),
        ("bc_secrets_sync_incidents_open{cause!~\"moved|gone\"}", "", "has no cause=\"gone\""),
        ("sum by (stat) (bc_secrets_sync_stores)", "", "the label stat"),
        ("bc_secrets_sync_source_up", "{{ $labels.store }}", "the label store, which is shown"),
        ("rate(process_cpu_seconds[5m])", "", "there is no process_cpu_seconds"),
    ] {
        let found = check(expression, shown, &metrics);
        assert!(found.len() == 1 && found[0].contains(wrong), "{expression}: {found:?}");
    }
    let good = "sum by (state, job) (bc_secrets_sync_stores{job=\"x\",state=~\"failed|rejected\"})";
    assert_eq!(check(good, "{{ $labels.state }} {{ $value | humanize }}", &metrics), Vec::<String>::new());
}

#[test]
fn each_alert_is_tested_and_linked_to_its_part_of_the_runbook() {
    let alerts = rules(ALERTS, "- alert: ");
    assert!(alerts.len() > 15);
    let parts: Vec<&str> = RUNBOOK.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(parts, alerts.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, rule) in alerts {
        let url = format!("runbook_url: https://runbooks.example/bc-secrets-sync#{}\n", name.to_lowercase());
        assert!(rule.contains(&url), "{name} is not linked to the runbook");
        let place = format!("alertname: {name}\n");
        let mut tested = RULES_TEST.split(&place).skip(1);
        let fires = |test: &str| test.trim_start().starts_with("exp_alerts:");
        assert!(tested.any(fires), "no test says that {name} fires");
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
    }
    for (name, _) in rules(RECORDING, "- record: ") {
        assert!(RULES_TEST.contains(&format!("expr: {name}")), "no test asks for {name}");
    }
}

#[test]
fn the_dashboard_asks_for_metrics_and_labels_that_there_are() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    assert!(found.len() > 40, "{}", found.len());
    let metrics = metrics();
    for (expression, shown) in found {
        assert!(!named(&expression).is_empty(), "{expression} asks for nothing of ours");
        assert_eq!(check(&expression, &shown, &metrics), Vec::<String>::new(), "{expression}");
    }
}

#[test]
fn the_panels_of_the_dashboard_have_a_place_each_and_a_source_that_can_be_chosen() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(cells.insert((x, y)), "two panels in one place: {panel}");
            }
        }
        let is_row = panel["type"] == "row";
        assert!(is_row || panel["datasource"]["uid"] == "${datasource}", "{panel}");
    }
}

#[test]
fn the_readme_lists_every_metric_as_it_is() {
    let metrics = metrics();
    let golden = include_str!("../golden.prometheus.txt");
    let help = golden.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let kinds = golden.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut rows = Vec::new();
    for ((name, help), (_, kind)) in help.zip(kinds) {
        let Some(short) = name.strip_prefix("bc_secrets_sync_") else {
            assert!(README.contains(&format!("`{name}`")), "{name} is not in the README");
            continue;
        };
        // The labels in the order in which they are written.
        let sample = |line: &&str| line.starts_with(&format!("{name}{{"));
        let labels = golden.lines().find(sample).and_then(|line| line.rsplit_once('{'));
        let labels = labels.map_or_else(Vec::new, |(_, labels)| matchers(labels));
        let labels: Vec<String> = labels.into_iter().map(|(label, _, _)| label).collect();
        let labels = if labels.is_empty() { " ".to_owned() } else { format!(" {} ", labels.join(", ")) };
        assert!(kind == "histogram" || metrics.contains_key(name));
        rows.push(format!("| `{short}` | {kind} |{labels}| {help} |"));
    }
    let table = README.split_once("| name | type | labels | meaning |\n|---|---|---|---|\n").unwrap().1;
    let table = table.split_once("\n\n").unwrap().0;
    assert_eq!(table, rows.join("\n"), "the table should be:\n{}\n", rows.join("\n"));
}
