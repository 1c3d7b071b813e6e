//! An endpoint that is ready to be asked.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, TRANSFER_ENCODING};
use reqwest::{Client, Url, redirect};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{self, Told, shown};
use super::endpoint::is_loopback;
use super::transfer::{Ending, read};
use super::tries::Tries;
use super::{Completion, Endpoint, Fault, Jitter, OutsideError, Question};
use crate::retry::{causes, retry_after};

/// The most bytes of an answer. No text that a model writes comes near.
const LONGEST_ANSWER: usize = 32 << 20;

/// The most bytes of a refusal that are looked at.
const LONGEST_REFUSAL: usize = 64 << 10;

/// The fewest questions in a row without an answer after which none is put any more.
const MOST_SILENT: usize = 4;

/// An endpoint that is ready to be asked.
pub struct Line {
    pub endpoint: Endpoint,
    address: Url,
    http: Client,
    /// How many questions may be put at a time.
    pub turns: Semaphore,
    /// Whether it once wanted `max_completion_tokens`.
    pub has_other_limit: AtomicBool,
    silence: Mutex<Silence>,
}

/// Questions in a row that got no answer, each after all tries that it had.
#[derive(Default)]
struct Silence {
    questions: usize,
    last: Option<Fault>,
}

/// A try that failed, and the pause that the server asks for.
pub struct Failure {
    pub fault: Fault,
    pub asked: Option<Duration>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, asked: None }
    }
}

impl Line {
    pub fn new(endpoint: Endpoint) -> Result<Self, OutsideError> {
        let wrong = |why: String| OutsideError::Setup { endpoint: endpoint.name.clone(), why };
        let address = endpoint.address().map_err(wrong)?;
        let header = match &endpoint.key {
            Some(key) => Some(key.bearer().ok_or_else(|| {
                wrong("its key is empty, or holds spaces, line ends or other characters that a key can't have".to_owned())
            })?),
            None => None,
        };
        if endpoint.max_concurrent == 0 {
            return Err(wrong("max_concurrent is 0".to_owned()));
        }
        if let Some(fault) = endpoint.patience.fault() {
            return Err(wrong(fault.to_owned()));
        }
        let http = client(&endpoint, &address, header).map_err(|error| wrong(causes(&error)))?;
        let turns = Semaphore::new(endpoint.max_concurrent.min(Semaphore::MAX_PERMITS));
        Ok(Self { endpoint, address, http, turns, has_other_limit: AtomicBool::new(false), silence: Mutex::default() })
    }

    /// Refuses a question that can't be put to it.
    pub fn check(&self, question: &Question) -> Result<(), OutsideError> {
        match question.fault(self.endpoint.form) {
            Some(why) => Err(self.failed(0, Fault::Question { why })),
            None => Ok(()),
        }
    }

    /// Puts a question, again while that may help.
    ///
    /// Once as many as are put at a time (and at least [`MOST_SILENT`]) have got no answer in a row, none is put any more: a thousand
    /// cases are not to wait for a dead server one deadline after the other.
    pub async fn ask(&self, question: &Question, jitter: &Jitter) -> Result<Completion, OutsideError> {
        if let Some(fault) = self.given_up() {
            return Err(self.failed(0, fault));
        }
        let mut tries = Tries::new(self, question, jitter);
        let answer = tries.until_answered().await;
        self.hear(answer.as_ref().err());
        answer.map_err(|fault| self.failed(tries.sent(), fault))
    }

    fn given_up(&self) -> Option<Fault> {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let last = silence.last.clone().filter(|_| silence.questions >= self.endpoint.max_concurrent.max(MOST_SILENT))?;
        Some(Fault::GivenUp { silent: silence.questions, last: Box::new(last) })
    }

    /// A refusal is an answer too: somebody is there.
    fn hear(&self, fault: Option<&Fault>) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *silence = match fault.filter(|fault| fault.is_silence()) {
            Some(fault) => Silence { questions: silence.questions + 1, last: Some(fault.clone()) },
            None => Silence::default(),
        };
    }

    fn failed(&self, tries: u32, fault: Fault) -> OutsideError {
        OutsideError::Endpoint { endpoint: self.endpoint.name.clone(), tries, fault }
    }

    /// One try, within so much time.
    pub async fn attempt(&self, body: Vec<u8>, within: Duration) -> Result<Told, Failure> {
        let start = Instant::now();
        let late = || Fault::Timeout { attempt: within };
        let request = self.http.post(self.address.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let sent = timeout(within, request.send()).await.map_err(|_| late())?;
        let response = sent.map_err(|error| self.unsent(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() {
            return Err(self.redirect(status.as_u16(), &headers).into());
        }
        let left = within.saturating_sub(start.elapsed());
        if !status.is_success() {
            // However that ends: the status says enough.
            let (bytes, _) = read(response, LONGEST_REFUSAL, left).await;
            let message = answer::refusal(&bytes, self.endpoint.key.as_ref());
            let asked = retry_after(&headers, SystemTime::now());
            return Err(Failure { fault: Fault::Refused { status: status.as_u16(), message }, asked });
        }
        if response.content_length().is_some_and(|length| length > LONGEST_ANSWER as u64) {
            return Err(Fault::TooLong { most: LONGEST_ANSWER }.into());
        }
        let is_measured = response.content_length().is_some() || headers.contains_key(TRANSFER_ENCODING);
        let (bytes, ending) = read(response, LONGEST_ANSWER, left).await;
        match ending {
            Ending::Whole => {}
            Ending::Broken(why) => return Err(Fault::CutOff { why: self.shown(&why) }.into()),
            Ending::TooLong => return Err(Fault::TooLong { most: LONGEST_ANSWER }.into()),
            Ending::TooLate => return Err(late().into()),
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body = answer::Body { bytes: &bytes, content_type, is_measured };
        Ok(answer::read(&body, self.endpoint.form, self.endpoint.key.as_ref())?)
    }

    /// A request to which no answer began.
    fn unsent(&self, error: &reqwest::Error) -> Fault {
        let why = self.shown(&causes(error));
        if !error.is_connect() {
            return Fault::CutOff { why };
        }
        let address = self.address.origin().ascii_serialization();
        let patience = self.endpoint.patience.connect.as_secs_f64();
        Fault::Unreachable { address, why: if error.is_timeout() { format!("none came about within {patience} s") } else { why } }
    }

    fn redirect(&self, status: u16, headers: &HeaderMap) -> Fault {
        let to = headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
        // What an address asks for may be a secret as well.
        let to = to.as_deref().and_then(|to| to.split(['?', '#']).next()).unwrap_or("nowhere");
        Fault::Redirect { status, to: self.shown(to) }
    }

    fn shown(&self, text: &str) -> String {
        shown(text, self.endpoint.key.as_ref())
    }
}

/// One for each endpoint: it keeps its connections.
fn client(endpoint: &Endpoint, address: &Url, key: Option<HeaderValue>) -> reqwest::Result<Client> {
    let headers: HeaderMap = key.map(|key| (AUTHORIZATION, key)).into_iter().collect();
    let builder = || {
        let client = Client::builder()
            .connect_timeout(endpoint.patience.connect)
            .redirect(redirect::Policy::none())
            .default_headers(headers.clone())
            .user_agent(concat!("sway/", env!("CARGO_PKG_VERSION")));
        if is_loopback(address) { client.no_proxy() } else { client }
    };
    match builder().build() {
        // A system without roots of trust, as small images are. Without TLS nothing asks for them, but for a proxy that has it.
        Err(_) if address.scheme() == "http" => builder().tls_certs_only([]).build(),
        built => built,
    }
}
