//! What follows from a failed attempt: the table of design section 6, and how long to wait. Pure; the jitter
//! comes from the run's id, so that deciding again after a restart gives the same time.

use sha2::{Digest, Sha256};
use uuid::Builder;

use super::{Effect, Failure, Outcome, Verdict};
use crate::manifest::flow::{Backoff, Retry};
use crate::planted::bug;

/// Attempts of a request that changes something, unless its step says otherwise.
const CHANGING_ATTEMPTS: u32 = 3;

/// What follows from a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Try again, not before then (UTC epoch milliseconds).
    Retry { due_ms: i64 },
    /// The same, and the attempt is not used up.
    RateLimited { due_ms: i64 },
    /// Look for what it did; `refused` where the service took it for a repeat.
    LookUp { refused: bool },
    /// Nobody knows: a person decides.
    Park,
    /// It failed for good.
    Fail,
}

/// An attempt that failed.
pub(super) struct Attempt<'a> {
    pub run_id: &'a str,
    pub key: &'a str,
    /// 1 for the first.
    pub number: u32,
    /// Whether an attempt before it may have been done.
    pub is_after_uncertain: bool,
    pub effect: &'a Effect,
    /// As the step says.
    pub retry: Option<&'a Retry>,
}

impl Attempt<'_> {
    /// What follows from `failure` at `now_ms`.
    pub(super) fn judge(&self, failure: &Failure, now_ms: i64) -> Judgement {
        if failure.outcome == Outcome::Unknown {
            match self.effect {
                Effect::Lookup(_) => return Judgement::LookUp { refused: false },
                Effect::None if !bug("none_retried") => return Judgement::Park,
                Effect::None | Effect::Read | Effect::Natural | Effect::Key => {}
            }
        }
        match failure.verdict {
            Verdict::RateLimited { .. } if bug("limit_uses_retries") && self.number >= CHANGING_ATTEMPTS => {
                Judgement::Fail
            }
            Verdict::RateLimited { until_ms } if bug("limit_uses_retries") => Judgement::Retry { due_ms: until_ms },
            Verdict::RateLimited { until_ms } => Judgement::RateLimited { due_ms: until_ms },
            Verdict::Retry { after_ms } if self.number < attempts(self.retry, self.effect) => {
                Judgement::Retry { due_ms: now_ms.saturating_add(self.delay_ms().max(after_ms.unwrap_or(0))) }
            }
            Verdict::Reconcile if self.is_after_uncertain => match self.effect {
                Effect::Lookup(_) => Judgement::LookUp { refused: true },
                Effect::None => Judgement::Park,
                Effect::Read | Effect::Natural | Effect::Key => Judgement::Fail,
            },
            _ => Judgement::Fail,
        }
    }

    /// How long to wait after this attempt; exponential waits are shortened by up to a fifth, so that runs
    /// which failed together do not come back together.
    fn delay_ms(&self) -> i64 {
        let default = Retry::default();
        let retry = self.retry.unwrap_or(&default);
        if retry.backoff == Backoff::Fixed {
            return retry.initial.ms;
        }
        let doublings = self.number.saturating_sub(1).min(62);
        let full = retry.initial.ms.saturating_mul(1_i64 << doublings).min(retry.max.ms);
        let jitter = digest(&[self.run_id, self.key, &self.number.to_string()]);
        let share = i64::from(u16::from_le_bytes([jitter[0], jitter[1]]));
        full - full / 5 * share / i64::from(u16::MAX)
    }
}

/// How many attempts a step has, the first included.
pub(super) fn attempts(retry: Option<&Retry>, effect: &Effect) -> u32 {
    match (retry, effect) {
        (Some(retry), _) => retry.attempts,
        (None, Effect::Read) => Retry::default().attempts,
        (None, _) => CHANGING_ATTEMPTS,
    }
}

/// The key that a provider recognises a repeat by: the same for every attempt of a step of a run
/// and of its retries.
pub(super) fn idempotency_key(origin: &str, key: &str) -> String {
    let digest = digest(&[origin, key]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().into()
}
