//! The body of an answer: handed out in pieces, and holding its place until the last of them was taken.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::page::EventStream;
use super::room::{OneUnderWay, Place};

/// How much is handed out at once. A client that reads slowly makes the rest wait here, and the place with it.
const PIECE: usize = 64 * 1024;

/// What an answer holds while it is under way.
#[derive(Debug, Default)]
pub(super) struct Holding {
    pub(super) places: Vec<Place>,
    pub(super) under_way: Option<OneUnderWay>,
}

/// The body of an answer.
pub(super) struct AnswerBody {
    content: Content,
    _holding: Holding,
}

/// What is sent.
pub(super) enum Content {
    /// A text, or what is left of it.
    Text(Bytes),
    /// Events as they come.
    Events(EventStream),
}

impl AnswerBody {
    pub(super) const fn new(content: Content, holding: Holding) -> Self {
        Self { content, _holding: holding }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.content {
            Content::Text(rest) if rest.is_empty() => Poll::Ready(None),
            Content::Text(rest) => {
                let piece = rest.split_to(PIECE.min(rest.len()));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Content::Events(events) => Pin::new(events).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Text(rest) => rest.is_empty(),
            Content::Events(events) => events.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Text(rest) => SizeHint::with_exact(rest.len() as u64),
            Content::Events(events) => events.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::observe::room::{Peer, Room};

    #[test]
    fn a_text_comes_in_pieces_and_keeps_its_place_until_it_is_gone() {
        let room = Room::new(1, 1);
        let text: Vec<u8> = (0..PIECE * 2 + 10).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let holding = Holding { places: vec![room.enter(Peer::LOCAL).unwrap()], under_way: None };
        let mut body = AnswerBody::new(Content::Text(text.clone().into()), holding);
        let mut context = Context::from_waker(Waker::noop());
        let mut gathered = Vec::new();
        while !body.is_end_stream() {
            assert_eq!(body.size_hint().exact(), Some((text.len() - gathered.len()) as u64));
            let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) else {
                panic!("a text need not be waited for");
            };
            let piece = frame.into_data().unwrap();
            assert!(piece.len() <= PIECE && room.enter(Peer::LOCAL).is_none());
            gathered.extend_from_slice(&piece);
        }
        assert!(gathered == text);
        drop(body);
        assert!(room.enter(Peer::LOCAL).is_some());
    }
}
