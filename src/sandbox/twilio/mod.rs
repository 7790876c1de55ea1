//! Twilio as far as Tidegate's connector uses it: version 2010-04-01 (accounts, messages and their media, calls,
//! recordings, numbers) with the account's own, an API key's and the test credentials; and the product APIs
//! Lookup, Verify, Content and Messaging, whose hosts are all this one here.

mod answers;
mod callers;
mod content;
mod list;
mod media;
mod pages;
mod resources;
mod routes;
mod send;
mod store;
mod verify;
mod voice;

use axum::http::header::HOST;
use axum::http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::answers::{Failure, account, answer, finish, view, wants_json};
use self::callers::Caller;
use self::pages::Cut;
use self::routes::Operation;
use self::store::{Message, Store};
use self::verify::Verifications;
use self::voice::Calls;
use super::exchange::{Answer, Api, Call, Service};
use super::{NewCall, NewSms, Options, TWILIO_ACCOUNT_SID, TWILIO_SUBACCOUNT_SID, TWILIO_TEST_ACCOUNT_SID};

pub use self::list::DateGranularity;
pub(super) use self::media::router as media_router;

pub(super) struct Twilio {
    options: Options,
    /// Where the bytes of media are.
    media_url: String,
    state: Mutex<State>,
}

/// What is remembered. Each account has its own messages and calls.
struct State {
    own: Account,
    subaccount: Account,
    verifications: Verifications,
}

struct Account {
    sid: &'static str,
    messages: Store,
    calls: Calls,
}

impl Api for Twilio {
    const SERVICE: Service = Service::Twilio;
    const OPERATIONS: &'static [&'static str] = routes::NAMES;
    type Operation = Operation;

    fn route<'a>(&self, method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
        routes::route(method, path)
    }

    fn name(operation: Operation) -> &'static str {
        Self::OPERATIONS[operation as usize]
    }

    fn answer(&self, operation: Operation, argument: &str, call: &Call<'_>) -> Answer {
        let worked = callers::admit(operation, call, self.options.twilio_concurrent)
            .and_then(|caller| self.work(caller, operation, argument, call));
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
    pub fn new(options: &Options, media_url: &str) -> Self {
        let seed = options.clock.now_ms().unsigned_abs();
        Twilio { options: options.clone(), media_url: media_url.to_owned(), state: Mutex::new(State::new(seed)) }
    }

    /// Makes messages of the account itself; gives their sids.
    pub fn add(&self, new: &NewSms, now_ms: i64) -> Vec<String> {
        let mut state = self.state.lock();
        let sent_ms = new.sent_ms.unwrap_or(now_ms);
        let visible_ms = new.visible_ms.unwrap_or(sent_ms);
        let message = |index: u64| Message {
            sid: String::new(),
            account: TWILIO_ACCOUNT_SID,
            place: (0, 0),
            is_inbound: !new.outbound,
            from: Some(new.from.clone()),
            to: new.to.clone(),
            body: new.body.replace("{n}", &(index + 1).to_string()),
            service: None,
            media: vec![String::new(); new.media],
            created_ms: sent_ms,
            visible_ms,
            received_ms: visible_ms + new.receiving_ms,
            is_canceled: false,
            is_scheduled: false,
            failure: None,
        };
        (0..new.count).map(|index| state.own.messages.insert(message(index), sent_ms).sid.clone()).collect()
    }

    pub fn add_calls(&self, new: &NewCall, now_ms: i64) -> Vec<String> {
        self.state.lock().own.calls.add(new, TWILIO_ACCOUNT_SID, now_ms)
    }

    pub fn fail(&self, sid: &str, error_code: u32, now_ms: i64) -> bool {
        let mut state = self.state.lock();
        state.own.messages.update(sid, |message| message.failure = Some((now_ms, error_code))).is_some()
    }

    pub fn remove(&self, sid: &str) -> bool {
        self.state.lock().own.messages.remove(sid)
    }

    pub fn clear(&self) {
        let seed = self.options.clock.now_ms().unsigned_abs().wrapping_add(1 << 40);
        *self.state.lock() = State::new(seed);
    }

    fn work(&self, caller: Caller, operation: Operation, argument: &str, call: &Call<'_>) -> Result<Answer, Failure> {
        let mut state = self.state.lock();
        let State { own, subaccount, verifications } = &mut *state;
        let account = if call.path.contains(TWILIO_SUBACCOUNT_SID) { subaccount } else { own };
        match operation {
            Operation::FetchAccount => Ok(answer(StatusCode::OK, "Account", &self::account(account.sid), call)),
            Operation::ListAccounts => {
                let accounts = [TWILIO_ACCOUNT_SID, TWILIO_SUBACCOUNT_SID].map(self::account);
                self.classic("accounts", "Accounts", &accounts, call)
            }
            Operation::ListNumbers => {
                self.classic("incoming_phone_numbers", "IncomingPhoneNumbers", &resources::numbers(call), call)
            }
            Operation::SendSms if caller == Caller::Test => {
                // What is sent with test credentials is checked and answered, and never seen again.
                self.send(&mut Store::new(call.now_ms.unsigned_abs()), TWILIO_TEST_ACCOUNT_SID, call)
            }
            Operation::SendSms => self.send(&mut account.messages, account.sid, call),
            Operation::StartCall => {
                let (mut unseen, sid) = (Calls::default(), account.sid);
                let (calls, sid) = match caller {
                    Caller::Test => (&mut unseen, TWILIO_TEST_ACCOUNT_SID),
                    _ => (&mut account.calls, sid),
                };
                let parameters = call.parameters(true);
                let made = calls.start(sid, &parameters, call.now_ms)?;
                let said = parameters.get("Twiml").or(parameters.get("Url")).unwrap_or_default();
                let fingerprint = format!("{} {said}", parameters.get("To").unwrap_or_default());
                let answered = answer(StatusCode::CREATED, "Call", &made.view(call.now_ms), call);
                Ok(answered.wrote(fingerprint, Some(made.sid)))
            }
            Operation::ListCalls => {
                let rows = account.calls.listed(&call.parameters(false), call.now_ms)?;
                self.classic("calls", "Calls", &rows, call)
            }
            Operation::ListRecordings => {
                let rows = account.calls.recordings(&call.parameters(false), call.now_ms)?;
                self.classic("recordings", "Recordings", &rows, call)
            }
            Operation::ListSms => {
                let page = list::list(&account.messages, account.sid, &self.options, call)?;
                Ok(answer(StatusCode::OK, "Messages", &page, call))
            }
            Operation::LookupNumber => {
                let found = verify::look_up(argument, &call.parameters(false), &origin(call))?;
                Ok(answer(StatusCode::OK, "", &found, call))
            }
            Operation::StartVerification => {
                let parameters = call.parameters(true);
                let made = verifications.start(argument, &parameters, &origin(call), call.now_ms)?;
                let to = parameters.get("To").unwrap_or_default().to_owned();
                let sid = made["sid"].as_str().map(str::to_owned);
                Ok(answer(StatusCode::CREATED, "", &made, call).wrote(to, sid))
            }
            Operation::FetchVerification => {
                let asked = percent_encoding::percent_decode_str(argument).decode_utf8_lossy();
                let found = verifications.fetch(&asked, &origin(call), call.path, call.now_ms)?;
                Ok(answer(StatusCode::OK, "", &found, call))
            }
            Operation::CheckVerification => {
                let parameters = call.parameters(true);
                let checked = verifications.check(argument, &parameters, &origin(call), call.path, call.now_ms)?;
                let sid = checked["sid"].as_str().map(str::to_owned);
                Ok(answer(StatusCode::CREATED, "", &checked, call).wrote(argument.to_owned(), sid))
            }
            Operation::ListServices => self.product("services", &[resources::messaging_service(&origin(call))], call),
            Operation::ListTemplates => self.product("contents", &[content::template(&origin(call))], call),
            Operation::FetchMessage
            | Operation::UpdateMessage
            | Operation::DeleteMessage
            | Operation::SendFeedback
            | Operation::ListMedia
            | Operation::FetchMedia
            | Operation::DeleteMedia => self.of_message(&mut account.messages, operation, argument, call),
        }
    }

    fn send(&self, store: &mut Store, account: &'static str, call: &Call<'_>) -> Result<Answer, Failure> {
        let message = send::send(store, &self.options, account, &call.parameters(true), call.now_ms)?;
        let fingerprint = format!("{} {}", message.to, message.body);
        let shown = view(&message, call.now_ms, self.options.delivery_ms);
        Ok(answer(StatusCode::CREATED, "Message", &shown, call).wrote(fingerprint, Some(message.sid.clone())))
    }

    /// What is done to a message that there is. `argument` is its sid, and what stands below it in the path.
    fn of_message(
        &self,
        store: &mut Store,
        operation: Operation,
        argument: &str,
        call: &Call<'_>,
    ) -> Result<Answer, Failure> {
        let (sid, below) = argument.split_once('/').unwrap_or((argument, ""));
        let missing = || Failure::not_found(call.path);
        let message = store.find(sid, call.now_ms).cloned().ok_or_else(missing)?;
        let medium = below.strip_prefix("Media/").unwrap_or_default();
        let is_medium = message.media.iter().any(|known| known == medium);
        if matches!(operation, Operation::FetchMedia | Operation::DeleteMedia) && !is_medium {
            return Err(missing());
        }
        let shown = |message: &Message| {
            answer(StatusCode::OK, "Message", &view(message, call.now_ms, self.options.delivery_ms), call)
        };
        let gone =
            |sid: &str| finish(Answer::empty(StatusCode::NO_CONTENT), call).wrote(sid.to_owned(), Some(sid.to_owned()));
        Ok(match operation {
            Operation::UpdateMessage => {
                let changed = send::update(store, &self.options, &call.parameters(true), &message, call.now_ms)?;
                shown(&changed).wrote(changed.sid.clone(), Some(changed.sid.clone()))
            }
            Operation::DeleteMessage => {
                store.remove(sid);
                gone(sid)
            }
            Operation::SendFeedback => {
                let parameters = call.parameters(true);
                let outcome = parameters.filled("Outcome").unwrap_or("confirmed");
                let told = json!({
                    "account_sid": message.account, "message_sid": sid, "outcome": outcome,
                    "date_created": answers::rfc2822(call.now_ms), "date_updated": answers::rfc2822(call.now_ms),
                    "uri": call.path,
                });
                answer(StatusCode::OK, "Feedback", &told, call).wrote(format!("{sid} {outcome}"), Some(sid.to_owned()))
            }
            Operation::ListMedia => {
                let rows: Vec<Value> = message.media.iter().map(|medium| media::view(&message, medium)).collect();
                self.classic("media_list", "MediaList", &rows, call)?
            }
            Operation::FetchMedia if wants_json(call.path) => {
                answer(StatusCode::OK, "Media", &media::view(&message, medium), call)
            }
            Operation::FetchMedia => finish(media::redirect(&self.media_url, message.account, medium), call),
            Operation::DeleteMedia => {
                store.update(sid, |message| message.media.retain(|known| known != medium));
                gone(medium)
            }
            _ => shown(&message),
        })
    }

    fn classic(&self, member: &str, element: &str, rows: &[Value], call: &Call<'_>) -> Result<Answer, Failure> {
        let parameters = call.parameters(false);
        let page = Cut::of(rows, call, &parameters)?.classic(member, call, &parameters);
        Ok(answer(StatusCode::OK, element, &page, call))
    }

    fn product(&self, member: &str, rows: &[Value], call: &Call<'_>) -> Result<Answer, Failure> {
        let parameters = call.parameters(false);
        let page = Cut::of(rows, call, &parameters)?.product(member, &origin(call), call, &parameters);
        Ok(answer(StatusCode::OK, "", &page, call))
    }
}

impl State {
    fn new(seed: u64) -> State {
        let account = |sid, seed| Account { sid, messages: Store::new(seed), calls: Calls::default() };
        State {
            own: account(TWILIO_ACCOUNT_SID, seed),
            subaccount: account(TWILIO_SUBACCOUNT_SID, seed.wrapping_add(1 << 20)),
            verifications: Verifications::default(),
        }
    }
}

/// Where a call came to.
fn origin(call: &Call<'_>) -> String {
    format!("http://{}", call.header(HOST))
}

/// Recipient and body of a message that was refused.
fn fingerprint(call: &Call<'_>) -> String {
    let parameters = call.parameters(true);
    format!("{} {}", parameters.get("To").unwrap_or_default(), parameters.get("Body").unwrap_or_default())
}
