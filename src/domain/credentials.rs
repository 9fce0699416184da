//! The three values of a Legacy API account, parsed once at the border.

mod hosts;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use url::Url;

pub use self::hosts::{AddressPolicy, HostPattern, HostPatternError, HostPolicy};
use super::secret::{Fingerprint, FingerprintKey, Secret};

/// The longest value of a single field, in bytes; far above anything that BigCommerce hands out.
pub const MAX_FIELD_LENGTH: usize = 4096;

/// The longest text of a JSON object with the three values, in bytes: room for them and for much beside them.
pub const MAX_JSON_LENGTH: usize = 64 * 1024;

/// The name of a store: the name of its directory and of its series, so it must be a safe file name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName(Arc<str>);

impl StoreName {
    /// The longest name, in bytes: that of a DNS label.
    pub const MAX_LENGTH: usize = 63;

    /// Takes 1 to 63 letters, digits, `-`, `_` and `.`, of which the first is a letter or a digit.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn parse(text: &str) -> Result<Self, StoreNameError> {
        let Some(first) = text.bytes().next() else {
            return Err(StoreNameError::Empty);
        };
        if text.len() > Self::MAX_LENGTH {
            return Err(StoreNameError::TooLong(text.len()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !first.is_ascii_alphanumeric() || !text.bytes().all(allowed) {
            return Err(StoreNameError::Unsafe);
        }
        Ok(Self(text.into()))
    }

    /// The name in lower case, which no two stores may share: a volume may not tell `A` from `a`.
    #[must_use]
    pub fn caseless(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for StoreName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", &*self.0)
    }
}

impl Serialize for StoreName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Why a text is no name of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreNameError {
    /// There is no character in it.
    #[error("the name is empty; use 1 to 63 letters, digits, '-', '_' and '.'")]
    Empty,
    /// It has more than [`StoreName::MAX_LENGTH`] bytes.
    #[error("the name has {0} characters; use at most 63")]
    TooLong(usize),
    /// It would not be safe as the name of a directory.
    #[error(
        "the name is no safe file name; use letters, digits, '-', '_' and '.', beginning with a letter or digit"
    )]
    Unsafe,
}

/// Where a store's legacy API is, normalised: `https://HOST[:PORT][/PREFIX]/api/v2/`.
///
/// It is not a secret, and is shown by its host alone, where that changes: it names the merchant's store.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiPath(Url);

impl ApiPath {
    /// Takes the API Path as the store's admin pages show it, or as people paste it: with or without
    /// `/api/v2`, with or without the final slash.
    ///
    /// # Errors
    /// Says what is wrong with it, and never repeats it.
    pub fn parse(text: &str, policy: &HostPolicy) -> Result<Self, ApiPathError> {
        let mut url = Url::parse(text.trim()).map_err(|_| ApiPathError::NotAUrl)?;
        if url.scheme() != "https" {
            return Err(ApiPathError::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ApiPathError::CarriesUser);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ApiPathError::CarriesQuery);
        }
        policy.check(&url.host().ok_or(ApiPathError::NotAUrl)?)?;
        let path = match url.path().trim_end_matches('/') {
            "" => "/api/v2/".to_owned(),
            path if path.ends_with("/api/v2") => format!("{path}/"),
            _ => return Err(ApiPathError::NotLegacy),
        };
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The normalised path, as apps are given it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address of the probe: `{api_path}time`.
    #[must_use]
    pub fn time_url(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}time", self.0.path()));
        url
    }

    /// The host's name, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for ApiPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiPath([redacted])")
    }
}

/// Why a text is no API Path of a Legacy API account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiPathError {
    /// It cannot be read as an address.
    #[error(
        "it is no URL; copy the API Path from the account's page, such as https://store-abc123.mybigcommerce.com/api/v2/"
    )]
    NotAUrl,
    /// Another scheme than `https`.
    #[error("it does not begin with https://; the token would travel in the clear")]
    NotHttps,
    /// It has a user or a password in it.
    #[error("it carries a user or a password; those belong into fields of their own")]
    CarriesUser,
    /// It has a query or a fragment.
    #[error("it carries a query or a fragment; an API Path ends with /api/v2/")]
    CarriesQuery,
    /// It names `api.bigcommerce.com`.
    #[error(
        "it names api.bigcommerce.com, which serves API accounts of the newer kind; a legacy account has its API Path at the store's own host"
    )]
    NewApi,
    /// It names an IP address.
    #[error(
        "its host is an IP address; a store has a host name (allow_private_addresses lifts this for tests)"
    )]
    IpLiteral,
    /// It names a host that is not on the public internet.
    #[error(
        "its host is a private, loopback or link-local name (allow_private_addresses lifts this for tests)"
    )]
    PrivateHost,
    /// It names a host that the configuration does not list.
    #[error(
        "its host is not in check.allowed_hosts, so no token is sent there; add it if the store is at that host, and \
         otherwise find out who wrote this"
    )]
    NotAllowed,
    /// The path is another one than the legacy API's.
    #[error("its path is not that of the legacy API; an API Path ends with /api/v2/")]
    NotLegacy,
}

/// One whole set of credentials: the three values of one version of one secret, all of them valid in form.
#[derive(Debug)]
pub struct Credentials {
    username: Secret,
    api_token: Secret,
    api_path: ApiPath,
}

impl Credentials {
    /// Checks the three fields of a secret.
    ///
    /// # Errors
    /// Names the field at fault and the reason, never a value.
    pub fn parse(fields: Fields, names: &FieldNames, policy: &HostPolicy) -> Result<Self, FieldError> {
        let at = |field: &str, problem| FieldError { field: names.in_full(field), problem };
        let username = text(fields.username).map_err(|problem| at(&names.username, problem))?;
        let api_token = text(fields.api_token).map_err(|problem| at(&names.api_token, problem))?;
        let api_path = text(fields.api_path).map_err(|problem| at(&names.api_path, problem))?;
        if username.expose().contains(':') {
            return Err(at(&names.username, FieldProblem::Colon));
        }
        let api_path = ApiPath::parse(api_path.expose(), policy)
            .map_err(|error| at(&names.api_path, FieldProblem::ApiPath(error)))?;
        Ok(Self { username, api_token, api_path })
    }

    /// The account's Username.
    #[must_use]
    pub fn username(&self) -> &Secret {
        &self.username
    }

    /// The account's API Token.
    #[must_use]
    pub fn api_token(&self) -> &Secret {
        &self.api_token
    }

    /// The account's API Path, normalised.
    #[must_use]
    pub fn api_path(&self) -> &ApiPath {
        &self.api_path
    }

    /// Tells this set from another one without showing it.
    #[must_use]
    pub fn fingerprint(&self, key: &FingerprintKey) -> Fingerprint {
        key.of(&[self.username.expose(), self.api_token.expose(), self.api_path.as_str()])
    }

    /// Whether both sets hold the same three values.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.same_account(other) && self.same_token(other) && self.api_path == other.api_path
    }

    /// Whether both sets have the same API Token.
    #[must_use]
    pub fn same_token(&self, other: &Self) -> bool {
        self.api_token.same_as(&other.api_token)
    }

    /// Tells the account of a store from others without showing it: what a budget of requests belongs to.
    #[must_use]
    pub fn account(&self, key: &FingerprintKey) -> Fingerprint {
        key.of(&[self.api_path.as_str(), self.username.expose()])
    }

    /// Whether both sets belong to the same account (they have the same Username).
    #[must_use]
    pub fn same_account(&self, other: &Self) -> bool {
        self.username.same_as(&other.username)
    }
}

/// The names that the three fields have in the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNames {
    /// The one field of the secret that holds all three, as keys of a JSON object; none: they are fields of
    /// their own.
    pub json_field: Option<String>,
    /// Field with the Username.
    pub username: String,
    /// Field with the API Token.
    pub api_token: String,
    /// Field with the API Path.
    pub api_path: String,
}

impl Default for FieldNames {
    fn default() -> Self {
        Self {
            json_field: None,
            username: "username".into(),
            api_token: "api_token".into(),
            api_path: "api_path".into(),
        }
    }
}

impl FieldNames {
    /// What a field is called in words for people, with the field that it is in.
    #[must_use]
    pub fn in_full(&self, name: &str) -> String {
        self.json_field.as_ref().map_or_else(|| name.to_owned(), |field| format!("{field}.{name}"))
    }
}

/// What the source found in the three fields of a secret.
#[derive(Debug)]
pub struct Fields {
    /// The Username's field.
    pub username: Field,
    /// The API Token's field.
    pub api_token: Field,
    /// The API Path's field.
    pub api_path: Field,
}

/// What the source found in one field.
#[derive(Debug)]
pub enum Field {
    /// The secret has no such field.
    Missing,
    /// The field holds something that is no text; the name of its JSON type.
    NotText(&'static str),
    /// The field's text.
    Text(Secret),
}

/// A field that makes a secret unusable. Its text is for the operator and holds no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field '{field}': {problem}")]
pub struct FieldError {
    /// The field's name in the secret.
    pub field: String,
    /// What is wrong with it.
    pub problem: FieldProblem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// There is no such field.
    #[error("it is missing from the secret")]
    Missing,
    /// It holds another JSON type than a string.
    #[error("it holds a JSON {0}; it must be a string")]
    NotText(&'static str),
    /// It should hold a JSON object and holds another JSON type.
    #[error("it holds a JSON {0}; it must be a JSON object, or the text of one")]
    NotAnObject(&'static str),
    /// Its text should be that of a JSON object; where it stops to be.
    #[error(
        "its text is not that of a JSON object (line {line}, column {column}); write one with the three keys"
    )]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A JSON object has this key twice.
    #[error("it has this key twice; write it once")]
    Twice,
    /// Its JSON text is longer than [`MAX_JSON_LENGTH`].
    #[error("its text is longer than {MAX_JSON_LENGTH} bytes")]
    TooLongJson,
    /// It is the empty string.
    #[error("it is empty")]
    Empty,
    /// It is longer than [`MAX_FIELD_LENGTH`].
    #[error("it is longer than {MAX_FIELD_LENGTH} bytes")]
    TooLong,
    /// It has a line break or another control character in it.
    #[error("it contains a line break or another control character; write it without")]
    Control,
    /// The Username has a colon, which HTTP Basic cannot carry.
    #[error("it contains a colon, which a Username cannot have")]
    Colon,
    /// It is no API Path.
    #[error("{0}")]
    ApiPath(ApiPathError),
}

fn text(field: Field) -> Result<Secret, FieldProblem> {
    let secret = match field {
        Field::Missing => return Err(FieldProblem::Missing),
        Field::NotText(kind) => return Err(FieldProblem::NotText(kind)),
        Field::Text(secret) => secret,
    };
    let text = secret.expose();
    if text.trim().is_empty() {
        return Err(FieldProblem::Empty);
    }
    if text.len() > MAX_FIELD_LENGTH {
        return Err(FieldProblem::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(FieldProblem::Control);
    }
    Ok(secret)
}

#[cfg(test)]
mod tests;
