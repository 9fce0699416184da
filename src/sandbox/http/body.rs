//! The bodies of answers on their way out, those that are wrong on purpose included.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Response;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::Answer;

/// What an endless answer repeats: white space, so that what has arrived so far can still become valid JSON.
static PADDING: [u8; 8192] = [b' '; 8192];

impl From<Answer> for Response<Payload> {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Whole(response) => response.map(|body| Payload::Whole(Some(body))),
            Answer::CutShort(response) => response.map(|body| {
                let promised = body.len() as u64;
                Payload::CutShort { promised, half: Some(body.slice(..body.len() / 2)), flushed: false }
            }),
            Answer::Endless(response) => response.map(|body| Payload::Endless(Some(body))),
        }
    }
}

/// A body on its way out.
pub(super) enum Payload {
    Whole(Option<Bytes>),
    CutShort { promised: u64, half: Option<Bytes>, flushed: bool },
    Endless(Option<Bytes>),
}

/// The error that makes hyper close a connection in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the simulation cuts this answer short on purpose")]
pub(super) struct CutOnPurpose;

impl Body for Payload {
    type Data = Bytes;
    type Error = CutOnPurpose;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOnPurpose>>> {
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::CutShort { half, flushed, .. } => match half.take() {
                Some(half) => Poll::Ready(Some(Ok(Frame::data(half)))),
                // One pause lets hyper send what it has, so that the client sees an answer begin.
                None if !*flushed => {
                    *flushed = true;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(Some(Err(CutOnPurpose))),
            },
            Self::Endless(beginning) => {
                let chunk = beginning.take().unwrap_or_else(|| Bytes::from_static(&PADDING));
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Self::CutShort { .. } | Self::Endless(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::CutShort { promised, .. } => SizeHint::with_exact(*promised),
            Self::Endless(_) => SizeHint::default(),
        }
    }
}
