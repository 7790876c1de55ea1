//! Twilio's messaging API as far as Tidegate's connector uses it: the account, sending, listing, fetching,
//! updating and deleting messages, with the account's own, an API key's and the test credentials.

mod answers;
mod list;
mod send;
mod store;

use axum::http::{Method, StatusCode};
use parking_lot::Mutex;

use self::answers::{Failure, account, answer, finish, view};
use self::store::{Message, Store};
use super::exchange::{Answer, Api, Call, Service};
use super::{
    NewSms, Options, TWILIO_ACCOUNT_SID, TWILIO_API_KEY, TWILIO_API_KEY_SECRET, TWILIO_AUTH_TOKEN,
    TWILIO_TEST_ACCOUNT_SID, TWILIO_TEST_AUTH_TOKEN, auth,
};

pub use self::list::DateGranularity;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    FetchAccount,
    SendSms,
    ListSms,
    FetchMessage,
    UpdateMessage,
    DeleteMessage,
}

/// Which credentials a call came with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Account,
    ApiKey,
    Test,
}

pub(super) struct Twilio {
    options: Options,
    store: Mutex<Store>,
}

impl Api for Twilio {
    const SERVICE: Service = Service::Twilio;
    const OPERATIONS: &'static [&'static str] =
        &["fetch_account", "send_sms", "list_sms", "fetch_message", "update_message", "delete_message"];
    type Operation = Operation;

    fn route<'a>(&self, method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
        let rest = path.strip_prefix("/2010-04-01/Accounts/")?;
        let rest = rest.strip_suffix(".json").unwrap_or(rest);
        let (account, rest) = rest.split_once('/').unwrap_or((rest, ""));
        if account.is_empty() {
            return None;
        }
        match (method, rest) {
            (&Method::GET, "") => Some((Operation::FetchAccount, account)),
            (&Method::POST, "Messages") => Some((Operation::SendSms, account)),
            (&Method::GET, "Messages") => Some((Operation::ListSms, account)),
            _ => {
                let sid = rest.strip_prefix("Messages/").filter(|sid| !sid.is_empty() && !sid.contains('/'))?;
                match *method {
                    Method::GET => Some((Operation::FetchMessage, sid)),
                    Method::POST => Some((Operation::UpdateMessage, sid)),
                    Method::DELETE => Some((Operation::DeleteMessage, sid)),
                    _ => None,
                }
            }
        }
    }

    fn name(operation: Operation) -> &'static str {
        Self::OPERATIONS[operation as usize]
    }

    fn answer(&self, operation: Operation, argument: &str, call: &Call<'_>) -> Answer {
        let worked = self.admit(operation, call).and_then(|caller| self.work(caller, operation, argument, call));
        let mut answered = worked.unwrap_or_else(|failure| failure.answer(call));
        if operation == Operation::SendSms && answered.written.is_none() {
            answered = answered.wrote(fingerprint(call), None);
        }
        answered
    }

    fn unknown(&self, call: &Call<'_>) -> Answer {
        Failure::not_found(call.path).answer(call)
    }

    fn failure(&self, status: StatusCode, call: &Call<'_>) -> Answer {
        let (code, message) = match status.as_u16() {
            401 => (20003, "Authenticate"),
            429 => (20429, "Too Many Requests"),
            500 => (20500, "An internal server error has occurred"),
            503 => (20503, "Service unavailable"),
            other => (20_000 + u32::from(other), status.canonical_reason().unwrap_or("Unknown")),
        };
        Failure::new(status, code, message).answer(call)
    }
}

impl Twilio {
    pub fn new(options: &Options) -> Self {
        let seed = options.clock.now_ms().unsigned_abs();
        Twilio { options: options.clone(), store: Mutex::new(Store::new(seed)) }
    }

    /// Makes incoming messages; gives their sids.
    pub fn add(&self, new: &NewSms, now_ms: i64) -> Vec<String> {
        let mut store = self.store.lock();
        let sent_ms = new.sent_ms.unwrap_or(now_ms);
        let visible_ms = new.visible_ms.unwrap_or(sent_ms);
        let message = |index: u64| Message {
            sid: String::new(),
            account: TWILIO_ACCOUNT_SID,
            place: (0, 0),
            is_inbound: true,
            from: Some(new.from.clone()),
            to: new.to.clone(),
            body: new.body.replace("{n}", &(index + 1).to_string()),
            service: None,
            media: new.media,
            created_ms: sent_ms,
            visible_ms,
            received_ms: visible_ms + new.receiving_ms,
            is_canceled: false,
        };
        (0..new.count).map(|index| store.insert(message(index), sent_ms).sid.clone()).collect()
    }

    pub fn remove(&self, sid: &str) -> bool {
        self.store.lock().remove(sid)
    }

    pub fn clear(&self) {
        let seed = self.options.clock.now_ms().unsigned_abs().wrapping_add(1 << 40);
        *self.store.lock() = Store::new(seed);
    }

    /// Who may do this, and whether there is room for one more.
    fn admit(&self, operation: Operation, call: &Call<'_>) -> Result<Caller, Failure> {
        let caller = caller(call)?;
        // A standard key reaches everything but accounts and keys.
        if caller == Caller::ApiKey && operation == Operation::FetchAccount {
            return Err(Failure { detail: Some(""), ..Failure::new(StatusCode::UNAUTHORIZED, 20003, "Authenticate") });
        }
        if caller == Caller::Test && operation != Operation::SendSms {
            let message = "Resource not accessible with Test Account Credentials";
            return Err(Failure::new(StatusCode::FORBIDDEN, 20008, message));
        }
        if self.options.twilio_concurrent.is_some_and(|most| call.in_flight > most) {
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, 20429, "Too Many Requests"));
        }
        Ok(caller)
    }

    fn work(&self, caller: Caller, operation: Operation, argument: &str, call: &Call<'_>) -> Result<Answer, Failure> {
        let mut store = self.store.lock();
        let (options, now_ms) = (&self.options, call.now_ms);
        let found = |store: &Store| store.find(argument, now_ms).cloned().ok_or_else(|| Failure::not_found(call.path));
        let shown =
            |message: &Message| answer(StatusCode::OK, "Message", &view(message, now_ms, options.delivery_ms), call);
        match operation {
            Operation::FetchAccount => Ok(answer(StatusCode::OK, "Account", &account(), call)),
            Operation::ListSms => {
                let page = list::list(&store, options, call)?;
                drop(store);
                Ok(answer(StatusCode::OK, "Messages", &page, call))
            }
            Operation::SendSms => {
                let parameters = call.parameters(true);
                let message = match caller {
                    // What is sent with test credentials is checked and answered, and never seen again.
                    Caller::Test => send::send(
                        &mut Store::new(now_ms.unsigned_abs()),
                        options,
                        TWILIO_TEST_ACCOUNT_SID,
                        &parameters,
                        now_ms,
                    )?,
                    _ => send::send(&mut store, options, TWILIO_ACCOUNT_SID, &parameters, now_ms)?,
                };
                drop(store);
                let fingerprint = format!("{} {}", message.to, message.body);
                let answered =
                    answer(StatusCode::CREATED, "Message", &view(&message, now_ms, options.delivery_ms), call);
                Ok(answered.wrote(fingerprint, Some(message.sid.clone())))
            }
            Operation::FetchMessage => Ok(shown(&*found(&store)?)),
            Operation::UpdateMessage => {
                let message = found(&store)?;
                let changed = send::update(&mut store, options, &call.parameters(true), &message, now_ms)?;
                Ok(shown(&changed).wrote(changed.sid.clone(), Some(changed.sid.clone())))
            }
            Operation::DeleteMessage => {
                let message = found(&store)?;
                store.remove(&message.sid);
                let gone = finish(Answer::empty(StatusCode::NO_CONTENT), call);
                Ok(gone.wrote(message.sid.clone(), Some(message.sid.clone())))
            }
        }
    }
}

/// Checks user and password, and that the path names the account that they belong to.
fn caller(call: &Call<'_>) -> Result<Caller, Failure> {
    let refused = |message: &str, detail| {
        Err(Failure { detail: Some(detail), ..Failure::new(StatusCode::UNAUTHORIZED, 20003, message) })
    };
    let Some((user, password)) = auth::basic(call) else {
        return refused("Authenticate", "");
    };
    let (caller, account) = match (user.as_str(), password.as_str()) {
        (TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN) => (Caller::Account, TWILIO_ACCOUNT_SID),
        (TWILIO_API_KEY, TWILIO_API_KEY_SECRET) => (Caller::ApiKey, TWILIO_ACCOUNT_SID),
        (TWILIO_TEST_ACCOUNT_SID, TWILIO_TEST_AUTH_TOKEN) => (Caller::Test, TWILIO_TEST_ACCOUNT_SID),
        (TWILIO_ACCOUNT_SID | TWILIO_API_KEY | TWILIO_TEST_ACCOUNT_SID, _) => {
            return refused("Authenticate", "Your AccountSid or AuthToken was incorrect.");
        }
        _ => {
            return refused("Authentication Error - invalid username", "Your AccountSid or AuthToken was incorrect.");
        }
    };
    let named = call.path.strip_prefix("/2010-04-01/Accounts/").and_then(|rest| rest.get(..account.len()));
    if named == Some(account) { Ok(caller) } else { refused("Authenticate", "") }
}

/// Recipient and body of a message that was refused.
fn fingerprint(call: &Call<'_>) -> String {
    let parameters = call.parameters(true);
    format!("{} {}", parameters.get("To").unwrap_or_default(), parameters.get("Body").unwrap_or_default())
}
