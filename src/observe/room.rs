//! Room for answers under way: so many in all, and fewer for each client, so that no one of them takes it all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Who takes room: an address, or for IPv6 a network of 64 bits, of which a client has all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Peer(Option<IpAddr>);

impl Peer {
    /// Whoever may open the control socket.
    pub(super) const LOCAL: Self = Self(None);

    pub(super) fn of(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address @ IpAddr::V4(_) => address,
        }))
    }
}

/// Places for answers. All clones are one room.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    each: usize,
    taken: Mutex<BTreeMap<Peer, usize>>,
    left: Notify,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    peer: Peer,
}

impl Room {
    /// Room for `limit` answers, of which each client may have `each`.
    pub(super) fn new(limit: usize, each: usize) -> Self {
        Self(Arc::new(Shared { limit, each, taken: Mutex::default(), left: Notify::new() }))
    }

    /// A place, if there is one.
    pub(super) fn enter(&self, peer: Peer) -> Option<Place> {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.0.limit || taken.get(&peer) >= Some(&self.0.each) {
            return None;
        }
        *taken.entry(peer).or_default() += 1;
        Some(Place { room: self.clone(), peer })
    }

    /// A place, as soon as there is one; none: it took too long.
    pub(super) async fn enter_within(&self, peer: Peer, limit: Duration) -> Option<Place> {
        let entered = async {
            loop {
                let left = self.0.left.notified();
                if let Some(place) = self.enter(peer) {
                    return place;
                }
                left.await;
            }
        };
        timeout(limit, entered).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let shared = &self.room.0;
        let mut taken = shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.peer);
            }
        }
        shared.left.notify_waiters();
    }
}

/// What a connection is used for, as those see it who look for one that can be done without.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<Uses>);

#[derive(Debug, Default)]
struct Uses {
    answers: AtomicUsize,
    has_asked: AtomicBool,
}

impl UnderWay {
    /// A request has come.
    pub(super) fn asked(&self) {
        self.0.has_asked.store(true, Ordering::Relaxed);
    }

    /// One more answer, until what is returned is dropped.
    pub(super) fn one(&self) -> OneUnderWay {
        self.0.answers.fetch_add(1, Ordering::Relaxed);
        OneUnderWay(self.clone())
    }

    /// Whether no answer is under way.
    pub(super) fn is_none(&self) -> bool {
        self.0.answers.load(Ordering::Relaxed) == 0
    }

    /// Whether a request has ever come.
    pub(super) fn has_asked(&self) -> bool {
        self.0.has_asked.load(Ordering::Relaxed)
    }
}

/// An answer that is under way.
#[derive(Debug)]
pub(super) struct OneUnderWay(UnderWay);

impl Drop for OneUnderWay {
    fn drop(&mut self) {
        self.0.0.answers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::of(text.parse().unwrap())
    }

    #[test]
    fn one_client_gets_its_share_and_all_of_them_together_the_limit() {
        let room = Room::new(3, 2);
        let (one, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        let first = room.enter(one).unwrap();
        let _second = room.enter(one).unwrap();
        assert!(room.enter(one).is_none());
        let _third = room.enter(other).unwrap();
        assert!(room.enter(other).is_none() && room.enter(Peer::LOCAL).is_none());
        drop(first);
        assert!(room.enter(other).is_some());
    }

    #[test]
    fn a_client_is_an_address_or_a_network() {
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::2:3"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_place_that_another_leaves_or_gives_up() {
        let room = Room::new(1, 1);
        let held = room.enter(Peer::LOCAL).unwrap();
        let limit = Duration::from_secs(5);
        assert!(room.enter_within(Peer::LOCAL, limit).await.is_none());
        let waiting = room.clone();
        let waiting = tokio::spawn(async move { waiting.enter_within(Peer::LOCAL, limit).await.is_some() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
        assert!(waiting.await.unwrap());
    }
}
