//! Whether a store's certificate is in trouble: it fails, or it soon will.

use std::time::Duration;

use super::{Certificate, Condition, Context, Store, holds};
use crate::domain::verdict::{Validity, VerdictKind};

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn trouble(store: &Store, cx: &Context<'_>) -> Condition {
    let least = cx.settings.confirmations;
    let published = store.good.as_ref().map(|_| (&store.streak, store.certificate));
    let candidate = store.candidate.as_ref().map(|candidate| (&candidate.streak, candidate.certificate));
    let both = published.into_iter().chain(candidate);
    if let Some((streak, _)) = both.clone().find(|(streak, _)| streak.is(VerdictKind::TlsError, least)) {
        let verdict = streak.last.as_ref().map(ToString::to_string).unwrap_or_default();
        return holds(
            vec![format!(
                "{} attempts from {} to {} failed before anything was sent: {verdict}.",
                streak.count, streak.first.wall, streak.latest.wall
            )],
            "The certificate of a store under its own domain is the merchant's: ask for it to be renewed, or use the \
             API Path at the store's mybigcommerce.com host. If a proxy re-signs the traffic from here, name its \
             authority in check.ca_file."
                .into(),
        );
    }
    let certificates = both.clone().filter_map(|(_, certificate)| certificate);
    let ending = certificates.filter(|certificate| certificate.is_ending(cx.settings));
    if let Some(first) = ending.min_by_key(|certificate| certificate.validity.until) {
        return if first.ending >= least { soon_expired(&first) } else { Condition::Unknown };
    }
    let mut answers = both.map(|(streak, _)| match streak.kind() {
        None | Some(VerdictKind::TlsError | VerdictKind::NetworkError) => None,
        Some(kind) => Some(kind),
    });
    let first = answers.next();
    if first.is_some() && first.into_iter().chain(answers).all(|answer| answer.is_some()) {
        Condition::Clear
    } else {
        Condition::Unknown
    }
}

/// Each answer so far came under a valid certificate, so there is time.
fn soon_expired(certificate: &Certificate) -> Condition {
    let Certificate { validity: Validity { until, .. }, seen, .. } = certificate;
    let left = match until.since(seen.wall).as_secs() / DAY.as_secs() {
        0 => "in less than a day".to_owned(),
        1 => "in 1 day".to_owned(),
        days => format!("in {days} days"),
    };
    holds(
        vec![format!(
            "The certificate that the store showed at {} expires at {until}, {left} from then.",
            seen.wall
        )],
        "Until then nothing fails; afterwards neither apps nor this daemon can reach the store safely. The \
         certificate of a store under its own domain is the merchant's: ask the merchant to renew it in the store's \
         admin or where it was bought, or use the API Path at the store's mybigcommerce.com host. A new certificate \
         may change the API Path and the token, so compare them with Vault afterwards."
            .into(),
    )
}
