//! Lists the secrets of a folder with their versions, page by page.

use std::collections::BTreeMap;

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;

use crate::domain::source::{Folder, Listing, SourceFault};
use crate::domain::version::KvVersion;

use super::answer::{self, Page};
use super::login::Token;
use super::transport::{self, Transport};

/// Secrets on one page. Each takes some 400 bytes, and 150 more for each of its versions, of which there are 10
/// where nothing else is set: far from the longest answer that is read.
const PAGE: usize = 250;
/// The most pages of one listing.
const MAX_PAGES: u32 = 200;

pub(super) async fn list(
    transport: &Transport,
    token: &Token,
    folder: &Folder,
    version: KvVersion,
    detailed: bool,
) -> Result<Listing, SourceFault> {
    let mount = transport::path(&folder.mount)?;
    let path = if folder.path.is_empty() { String::new() } else { transport::path(&folder.path)? };
    let kind = match version {
        KvVersion::Two if detailed => "/detailed-metadata",
        KvVersion::Two => "/metadata",
        KvVersion::One => "",
    };
    let mut listing = Listing { secrets: BTreeMap::new(), requests: 0 };
    let mut after = None;
    while listing.requests < MAX_PAGES {
        let request = List { mount: &mount, kind, path: &path, after: after.as_deref() };
        let answer = transport.send(&request, Some(token)).await?;
        listing.requests += 1;
        let Page { secrets, keys, last } = match answer::page(&answer, detailed) {
            // Behind the last secret there is nothing, which some servers say in this way; a folder without a
            // secret is none. Whether versions are listed at all, such an answer does not tell.
            Err(SourceFault::NeverWritten) if after.is_some() || !detailed => return Ok(listing),
            page => page?,
        };
        // Names alone come all at once from a server that knows no pages; one whose names are as many as a page has
        // gives the same ones again.
        listing.secrets.extend(secrets);
        if keys != PAGE || (last == after && listing.requests == 2) {
            return Ok(listing);
        }
        if last <= after {
            return Err(SourceFault::NotKeyValue("the server does not list by pages".into()));
        }
        after = last;
    }
    Err(SourceFault::NotKeyValue(format!("there are more than {} secrets", MAX_PAGES as usize * PAGE)))
}

/// The library has no request of this kind.
struct List<'a> {
    mount: &'a str,
    kind: &'static str,
    path: &'a str,
    after: Option<&'a str>,
}

impl Endpoint for List<'_> {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        format!("/{}{}/{}", self.mount, self.kind, self.path)
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }

    fn query(&self) -> Result<Option<String>, ClientError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("list", "true").append_pair("limit", &PAGE.to_string());
        if let Some(after) = self.after {
            query.append_pair("after", after);
        }
        Ok(Some(query.finish()))
    }
}
