//! The person on call in the demo: reads the SMS that ask about outage reports, and answers in turn on the page
//! behind the link and by SMS. The page is really fetched and its form really sent, over the public listener; before
//! that a scanner opens the link, as mail and message services do, and decides nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::settings::ON_CALL;
use super::{Shown, Totals};
use crate::clock::Clock;
use crate::connector::auth::Credentials;
use crate::connector::egress::Egress;
use crate::connector::message::{Body, HostSet, HttpRequest, Method, Url};
use crate::connector::requester::{Requester, RequesterOptions};
use crate::engine::Failure;
use crate::sandbox::{Control, NewSms, ReceiptFilter, Service};

const LOOK_EVERY: Duration = Duration::from_millis(100);
// Long enough to be followed by somebody who watches.
const READS_FOR: Duration = Duration::from_millis(500);
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_PAGE_BYTES: usize = 64 * 1024;

// What is answered in turn. Both ways come within the first three, and so does a no.
const ANSWERS: [Answer; 4] = [
    Answer { by_link: true, words: Some("A diver looks at the gate now, please wait at the buoys") },
    Answer { by_link: false, words: Some("We know, it opens again in twenty minutes") },
    Answer { by_link: true, words: None },
    Answer { by_link: false, words: None },
];

struct Answer {
    by_link: bool,
    /// What the reporter is told; none leaves the report alone.
    words: Option<&'static str>,
}

/// A person with a telephone.
pub struct OnCall {
    control: Control,
    shown: broadcast::Sender<Shown>,
    counted: Arc<Mutex<Totals>>,
    browser: Requester,
}

impl OnCall {
    /// One who can open pages of the public listener at this address, and no others.
    pub fn new(
        control: Control,
        shown: broadcast::Sender<Shown>,
        counted: Arc<Mutex<Totals>>,
        public: SocketAddr,
    ) -> Result<OnCall, Failure> {
        let egress = Egress::new(&[public.to_string()])
            .map_err(|_| Failure::not_sent("demo_address", format!("{public} cannot be opened")))?;
        let browser = Requester::new(RequesterOptions {
            egress,
            clock: Clock::System,
            max_response_bytes: MOST_PAGE_BYTES,
            user_agent: "tidegate-demo".to_owned(),
            ca: None,
        })?;
        Ok(OnCall { control, shown, counted, browser })
    }

    /// Answers whatever is asked until it is dropped.
    pub async fn answer(self) {
        let mut seen = 0;
        let mut number = 0;
        let filter = ReceiptFilter {
            service: Some(Service::Twilio),
            operation: Some("send_sms".to_owned()),
            ..ReceiptFilter::default()
        };
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            for receipt in self.control.received(&ReceiptFilter { after: seen, ..filter.clone() }) {
                seen = receipt.number;
                let asked = receipt.fingerprint.strip_prefix(ON_CALL).filter(|_| receipt.id.is_some());
                if let Some(body) = asked {
                    self.settle(number, body.trim_start()).await;
                    number += 1;
                }
            }
        }
    }

    /// Reads one SMS and answers it.
    async fn settle(&self, number: usize, body: &str) {
        self.counted.lock().asked += 1;
        self.tell("gets SMS", body.to_owned());
        tokio::time::sleep(READS_FOR).await;
        let (round, place) = (number / ANSWERS.len(), number % ANSWERS.len());
        let (Some(answer), Some(link), Some(code)) = (ANSWERS.get(place), link_in(body), code_in(body)) else {
            return self.notice("the SMS that asks has no link or no code".to_owned());
        };
        // X refuses a text that it has seen a short while ago.
        let words = answer.words.map(|words| match round {
            0 => words.to_owned(),
            _ => format!("{words} (update {round})"),
        });
        if answer.by_link {
            if let Err(failure) = self.on_the_page(link, words.as_deref()).await {
                return self.notice(format!("the page of an approval: {}", failure.message));
            }
        } else {
            let reply = match &words {
                Some(words) => format!("{code} yes {words}"),
                None => format!("{code} no"),
            };
            self.control.add_sms(&NewSms { from: ON_CALL.to_owned(), body: reply.clone(), ..NewSms::default() });
            self.tell("replies", reply);
        }
        self.counted.lock().answered += 1;
    }

    async fn on_the_page(&self, link: &str, words: Option<&str>) -> Result<(), Failure> {
        let page = self.open(link, Method::GET, Body::Empty).await?;
        self.tell("link seen", "a scanner opens the link before its reader does: a GET decides nothing".to_owned());
        let (choice, button) = if words.is_some() { ("approve", "Answer it") } else { ("reject", "Leave it") };
        if !page.contains(&format!("value=\"{choice}\"")) {
            return Err(Failure::not_sent("demo_page", format!("it has no button for `{choice}`")));
        }
        let form = [Some(("choice", choice)), words.map(|words| ("text", words))];
        let form = form.into_iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let said = words.map(|words| format!(", with the words: {words}")).unwrap_or_default();
        self.tell("answers", format!("opens the link, presses \"{button}\"{said}"));
        self.open(link, Method::POST, Body::Form(form)).await?;
        Ok(())
    }

    async fn open(&self, link: &str, method: Method, body: Body) -> Result<String, Failure> {
        let url = Url::parse(link).map_err(|_| Failure::not_sent("demo_link", format!("`{link}` is no address")))?;
        let hosts = HostSet::new([url.clone()]);
        let request = HttpRequest { method, url, headers: Vec::new(), body };
        let answer = self.browser.send(&request, &Credentials::None, &hosts, PAGE_TIMEOUT, None).await?;
        match answer.status {
            200 => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
            status => Err(Failure::not_sent("demo_page", format!("{} was answered with {status}", request.method))),
        }
    }

    fn tell(&self, did: &'static str, text: String) {
        // An error means that nobody watches.
        let _ = self.shown.send(Shown::Person { did, text });
    }

    fn notice(&self, message: String) {
        let _ = self.shown.send(Shown::Notice { message });
    }
}

fn link_in(body: &str) -> Option<&str> {
    body.split_whitespace().find(|word| word.starts_with("http://"))
}

fn code_in(body: &str) -> Option<&str> {
    let (_, after) = body.rsplit_once("Answer ")?;
    after.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_and_the_code_are_found_as_a_person_finds_them() {
        let body = "@mara: Answer me! Answer k7q2m4 yes or no, or http://127.0.0.1:7401/a/xyz";
        assert_eq!((code_in(body), link_in(body)), (Some("k7q2m4"), Some("http://127.0.0.1:7401/a/xyz")));
        assert_eq!((code_in("hello"), link_in("hello")), (None, None));
    }
}
