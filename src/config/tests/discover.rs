//! Stores that are found, when the configuration changes.

use super::*;
use crate::domain::discovery::Found;

fn config(stores: &[&str]) -> Config {
    let mut text = LEAST.split("[[stores]]").next().unwrap().to_owned();
    for name in stores {
        text += &format!("[[stores]]\nname = \"{name}\"\npath = \"stores/{name}\"\n");
    }
    parse(&(text + "[[discover]]\nprefix = \"stores\"\n")).unwrap()
}

#[test]
fn a_store_that_is_configured_no_longer_goes_on_as_one_that_was_found() {
    let mut before = config(&["one"]);
    before.restock(&[Found { mount: "secret".into(), path: "stores/two".into(), gone_since: None }]);
    let mut after = config(&[]);
    after.restock(&before.found());
    let names: Vec<&str> = after.stores.iter().map(|store| store.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    let mut again = config(&["one"]);
    again.restock(&after.found());
    assert_eq!(again.stores.iter().filter(|store| store.discovered.is_some()).count(), 1);
    assert_eq!(again.stores.len(), 2);
}
