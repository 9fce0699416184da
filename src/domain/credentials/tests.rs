//! What is accepted as a store's name, an API Path and a set of credentials, and what is refused.

use core::net::IpAddr;

use super::*;

fn path(text: &str) -> Result<String, ApiPathError> {
    ApiPath::parse(text, &AddressPolicy::PublicOnly.into()).map(|path| path.as_str().to_owned())
}

fn fields(username: &str, api_token: &str, api_path: &str) -> Fields {
    let text = |text: &str| Field::Text(Secret::new(text.into()));
    Fields { username: text(username), api_token: text(api_token), api_path: text(api_path) }
}

fn parse(fields: Fields) -> Result<Credentials, FieldError> {
    Credentials::parse(fields, &FieldNames::default(), &AddressPolicy::PublicOnly.into())
}

const PATH: &str = "https://store-j0e3ob.mybigcommerce.com/api/v2/";

#[test]
fn a_name_that_is_no_safe_file_name_is_refused() {
    for bad in ["..", ".", "a/b", "", "-a", ".hidden", "a b", "ä", "a\n", "a\0", &"x".repeat(64)] {
        assert!(StoreName::parse(bad).is_err(), "{bad:?}");
    }
    for good in ["acme", "Acme-2.example_store", "0", &"x".repeat(63)] {
        assert_eq!(StoreName::parse(good).unwrap().as_str(), good);
    }
}

#[test]
fn every_form_in_which_people_paste_an_api_path_means_the_same() {
    for form in [
        "https://store-j0e3ob.mybigcommerce.com/api/v2/",
        "https://store-j0e3ob.mybigcommerce.com/api/v2",
        "https://store-j0e3ob.mybigcommerce.com/",
        "https://store-j0e3ob.mybigcommerce.com",
        " https://STORE-j0e3ob.mybigcommerce.com:443/api/v2//\n",
    ] {
        assert_eq!(path(form).as_deref(), Ok(PATH), "{form}");
    }
    let parsed = ApiPath::parse(PATH, &AddressPolicy::PublicOnly.into()).unwrap();
    assert_eq!(parsed.time_url().as_str(), "https://store-j0e3ob.mybigcommerce.com/api/v2/time");
    assert_eq!(parsed.host(), "store-j0e3ob.mybigcommerce.com");
}

#[test]
fn an_api_path_that_could_leak_the_token_or_proves_nothing_is_refused() {
    for (text, error) in [
        ("store-x.mybigcommerce.com", ApiPathError::NotAUrl),
        ("http://store-x.mybigcommerce.com/api/v2/", ApiPathError::NotHttps),
        ("ftp://store-x.mybigcommerce.com/api/v2/", ApiPathError::NotHttps),
        ("https://user@store-x.mybigcommerce.com/api/v2/", ApiPathError::CarriesUser),
        ("https://:word@store-x.mybigcommerce.com/api/v2/", ApiPathError::CarriesUser),
        ("https://store-x.mybigcommerce.com/api/v2/?a=b", ApiPathError::CarriesQuery),
        ("https://store-x.mybigcommerce.com/api/v2/#a", ApiPathError::CarriesQuery),
        ("https://api.bigcommerce.com/api/v2/", ApiPathError::NewApi),
        ("https://API.BigCommerce.com./stores/x/v3/", ApiPathError::NewApi),
        ("https://203.0.113.7/api/v2/", ApiPathError::IpLiteral),
        ("https://0x7f000001/api/v2/", ApiPathError::IpLiteral),
        ("https://127.1/api/v2/", ApiPathError::IpLiteral),
        ("https://[::1]/api/v2/", ApiPathError::IpLiteral),
        ("https://localhost/api/v2/", ApiPathError::PrivateHost),
        ("https://vault.internal/api/v2/", ApiPathError::PrivateHost),
        ("https://metadata/api/v2/", ApiPathError::PrivateHost),
        ("https://printer.local./api/v2/", ApiPathError::PrivateHost),
        ("https://store-x.mybigcommerce.com/api/v3/", ApiPathError::NotLegacy),
        ("https://store-x.mybigcommerce.com/api/v2/time", ApiPathError::NotLegacy),
    ] {
        assert_eq!(path(text), Err(error), "{text}");
    }
}

#[test]
fn private_addresses_are_allowed_only_where_the_policy_says_so() {
    let private = "https://127.0.0.1:8443/stores/acme/api/v2/";
    assert_eq!(ApiPath::parse(private, &AddressPolicy::AllowPrivate.into()).unwrap().as_str(), private);
    assert!(ApiPath::parse("https://api.bigcommerce.com", &AddressPolicy::AllowPrivate.into()).is_err());
    for address in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "0.1.2.3",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "100.127.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::1:6812:1",
        "64:ff9b:1::6812:1",
        "::6812:1",
        "::ffff:0:6812:1",
        "100::1",
        "2001::6812:1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:a00:1::",
        "2002:6812:1::",
        "3fff::1",
        "5f00::1",
        "fec0::1",
        "feff::1",
        "ff02::1",
        "ff0e::1",
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert!(!AddressPolicy::PublicOnly.allows(address), "{address}");
        assert!(AddressPolicy::AllowPrivate.allows(address), "{address}");
    }
    for address in [
        "104.18.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "192.88.98.1",
        "198.20.0.1",
        "2606:4700::1",
        "2001:200::1",
        "2a00:1450::1",
        "3ffe::1",
        "::ffff:104.18.0.1",
        // What a store resolves to where there is IPv6 alone.
        "64:ff9b::6812:1",
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert!(AddressPolicy::PublicOnly.allows(address), "{address}");
    }
}

fn listing(names: &[&str]) -> HostPolicy {
    let patterns = names.iter().map(|name| HostPattern::parse(name).unwrap());
    HostPolicy { names: Some(patterns.collect()), ..AddressPolicy::PublicOnly.into() }
}

#[test]
fn an_api_path_at_a_host_that_is_not_listed_is_refused_and_says_what_to_do() {
    let policy = listing(&["shop.example", "*.mybigcommerce.com"]);
    for host in
        ["shop.example", "Shop.Example", "shop.example.", "a.mybigcommerce.com", "a.b.mybigcommerce.com"]
    {
        assert!(ApiPath::parse(&format!("https://{host}/api/v2/"), &policy).is_ok(), "{host}");
        assert!(ApiPath::parse(&format!("https://{host}:8443/api/v2/"), &policy).is_ok(), "{host}");
    }
    for host in [
        "thief.example",
        "www.shop.example",
        "shop.example.thief.example",
        "notshop.example",
        "mybigcommerce.com",
        ".mybigcommerce.com",
        "thiefmybigcommerce.com",
        "a.mybigcommerce.com.thief.example",
        "a.mybigcommerce.com..",
    ] {
        let refused = ApiPath::parse(&format!("https://{host}/api/v2/"), &policy).unwrap_err();
        assert_eq!(refused, ApiPathError::NotAllowed, "{host}");
    }
    // What is more precise is said first.
    let newer = ApiPath::parse("https://api.bigcommerce.com/stores/x/v3/", &policy);
    assert_eq!(newer.unwrap_err(), ApiPathError::NewApi);
    let set = fields("c0ffee", "c0ffee", "https://c0ffee.example/api/v2/");
    let words = Credentials::parse(set, &FieldNames::default(), &policy).unwrap_err().to_string();
    assert!(words.starts_with("field 'api_path': its host is not in check.allowed_hosts"), "{words}");
    assert!(words.contains("add it if the store is at that host") && !words.contains("c0ffee"), "{words}");
}

#[test]
fn an_address_is_listed_like_a_name() {
    let names = listing(&["127.0.0.1"]).names;
    let policy = HostPolicy { addresses: AddressPolicy::AllowPrivate, names };
    assert!(ApiPath::parse("https://127.0.0.1:8443/api/v2/", &policy).is_ok());
    for host in ["127.0.0.2", "[::1]", "localhost"] {
        let refused = ApiPath::parse(&format!("https://{host}/api/v2/"), &policy);
        assert_eq!(refused.unwrap_err(), ApiPathError::NotAllowed, "{host}");
    }
}

#[test]
fn a_pattern_of_hosts_is_read_strictly() {
    let long = format!("{}.example", "x".repeat(64));
    for (text, error) in [
        ("*", HostPatternError::Wildcard),
        ("**.example.com", HostPatternError::Wildcard),
        ("store-*.example.com", HostPatternError::Wildcard),
        ("*.*.example.com", HostPatternError::Wildcard),
        ("*example.com", HostPatternError::Wildcard),
        ("*.com", HostPatternError::TooWide),
        ("Shop.example", HostPatternError::UpperCase),
        ("bücher.example", HostPatternError::NotAscii),
        ("", HostPatternError::NotAName),
        ("*.", HostPatternError::NotAName),
        ("*.0.0.1", HostPatternError::NotAName),
        ("127.1", HostPatternError::NotAName),
        (".example.com", HostPatternError::NotAName),
        ("shop.example.", HostPatternError::NotAName),
        ("shop..example", HostPatternError::NotAName),
        ("shop.example:443", HostPatternError::NotAName),
        ("shop.example/api/v2/", HostPatternError::NotAName),
        ("https://shop.example", HostPatternError::NotAName),
        (" shop.example", HostPatternError::NotAName),
        ("-shop.example", HostPatternError::NotAName),
        ("shop-.example", HostPatternError::NotAName),
        ("[::1]", HostPatternError::NotAName),
        (long.as_str(), HostPatternError::NotAName),
    ] {
        assert_eq!(HostPattern::parse(text), Err(error), "{text}");
    }
    for text in ["localhost", "127.0.0.1", "shop.example", "xn--bcher-kva.example", "*.co.uk", "*.0.example"]
    {
        assert!(HostPattern::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn a_secret_without_three_usable_fields_is_refused_by_field_and_reason() {
    let missing = Fields { api_token: Field::Missing, ..fields("u", "t", PATH) };
    assert_eq!(parse(missing).unwrap_err().to_string(), "field 'api_token': it is missing from the secret");
    let number = Fields { username: Field::NotText("number"), ..fields("u", "t", PATH) };
    assert_eq!(
        parse(number).unwrap_err().to_string(),
        "field 'username': it holds a JSON number; it must be a string"
    );
    for (set, problem) in [
        (fields("u", "", PATH), FieldProblem::Empty),
        (fields("u", "  ", PATH), FieldProblem::Empty),
        (fields("u", "c0ffee\n", PATH), FieldProblem::Control),
        (fields("u", "c0\0ffee", PATH), FieldProblem::Control),
        (fields("u", &"x".repeat(MAX_FIELD_LENGTH + 1), PATH), FieldProblem::TooLong),
        (fields("a:b", "t", PATH), FieldProblem::Colon),
        (fields("u", "t", "http://x.example/"), FieldProblem::ApiPath(ApiPathError::NotHttps)),
    ] {
        assert_eq!(parse(set).unwrap_err().problem, problem);
    }
}

#[test]
fn an_error_never_repeats_a_value() {
    let error = parse(fields("u", "t", "https://c0ffee:c0ffee@x.example/?c0ffee")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c0ffee"));
    let set = parse(fields("c0ffee", "c0ffee", "https://c0ffee.example")).unwrap();
    assert!(!format!("{set:?}").contains("c0ffee"), "{set:?}");
}

#[test]
fn sets_are_told_apart_by_value_and_by_account() {
    let one = parse(fields("u", "t", PATH)).unwrap();
    let same = parse(fields("u", "t", "https://store-j0e3ob.mybigcommerce.com")).unwrap();
    let regenerated = parse(fields("u", "t2", PATH)).unwrap();
    let replaced = parse(fields("v", "t", PATH)).unwrap();
    assert!(one.same_as(&same) && !one.same_as(&regenerated) && !one.same_as(&replaced));
    assert!(one.same_account(&regenerated) && !one.same_account(&replaced));
    let key = FingerprintKey::new(&[7; 32]);
    assert_eq!(one.fingerprint(&key), same.fingerprint(&key));
    assert_ne!(one.fingerprint(&key), regenerated.fingerprint(&key));
}
