//! What a store's server really answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::client::{
    ClientConfigKey, ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{Certificate, Extensions};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy, Proxy, StatusCode};

use super::transfer::{pause_asked, short};
use super::tries::Failure;
use super::uri::shown;
use super::words::words;
use super::{Environment, Fault, Patience};
use crate::retry::causes;

/// Most bytes that are read of what a refusal says.
const LONGEST_REFUSAL: usize = 16 << 10;

/// Connects `object_store` to servers, and watches what they answer.
///
/// `object_store` signs requests and reads listings. Whether a try failed, why, and whether another one follows is told here: its errors
/// don't say what pause a server asks for, and it tries again without a word. It would also follow redirects with keys in its headers.
#[derive(Clone, Debug)]
pub struct Connector {
    pub patience: Patience,
    pub environment: Arc<Environment>,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.client(options).map_err(|error| object_store::Error::Generic { store: "client", source: error })?;
        let (environment, silence) = (Arc::clone(&self.environment), self.patience.silence);
        Ok(HttpClient::new(Watched { client: HttpClient::new(client), environment, silence }))
    }
}

impl Connector {
    fn client(&self, options: &ClientOptions) -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
        let set = |key| options.get_config_value(&key);
        let says =
            |key| set(key).is_some_and(|value| ["1", "true", "on", "yes", "y"].contains(&value.to_ascii_lowercase().as_str()));
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(self.patience.connect)
            .read_timeout(self.patience.silence)
            .https_only(!says(ClientConfigKey::AllowHttp))
            .tls_danger_accept_invalid_certs(says(ClientConfigKey::AllowInvalidCertificates))
            .user_agent(concat!("sway/", env!("CARGO_PKG_VERSION")));
        if let Some(address) = set(ClientConfigKey::ProxyUrl) {
            let excludes = set(ClientConfigKey::ProxyExcludes).and_then(|names| NoProxy::from_string(&names));
            builder = builder.proxy(Proxy::all(address)?.no_proxy(excludes));
        }
        if let Some(certificate) = set(ClientConfigKey::ProxyCaCertificate) {
            // Only to have a mistake in it told as one.
            Certificate::from_pem(certificate.as_bytes())?;
            builder = builder.tls_certs_merge([reqwest::Certificate::from_pem(certificate.as_bytes())?]);
        }
        Ok(builder.build()?)
    }
}

/// What one request asks for, and what came of it. It travels with the request.
#[derive(Clone, Debug)]
pub struct Note(Arc<Mutex<Noted>>);

#[derive(Debug)]
struct Noted {
    /// Most bytes that the answer may have.
    most: usize,
    status: Option<u16>,
    failure: Option<Failure>,
}

impl Note {
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Noted { most, status: None, failure: None })))
    }

    pub fn extensions(&self) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(self.clone());
        extensions
    }

    /// What became of the request, where `object_store` says that it failed.
    pub fn failure(&self, error: &object_store::Error, environment: &Environment) -> Failure {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = noted.failure.take() {
            return failure;
        }
        let why = environment.masked(&shown(&causes(error)));
        match noted.status {
            Some(200) => Fault::WrongBytes { why: "all of it, or of another length than it says".to_owned() }.into(),
            Some(206) => Fault::WrongBytes { why }.into(),
            Some(_) => Fault::Malformed { why }.into(),
            // Whoever gives the keys was asked before, and did not answer.
            None => Fault::Place { why, hint: Some("check the keys in the environment (AWS_*, GOOGLE_*, AZURE_*); for a public bucket set AWS_SKIP_SIGNATURE, GOOGLE_SKIP_SIGNATURE or AZURE_SKIP_SIGNATURE to true") }.into(),
        }
    }

    /// The same of a listing.
    pub fn listing_failure(&self, error: &object_store::Error, environment: &Environment) -> Failure {
        match self.failure(error, environment) {
            Failure { fault: Fault::WrongBytes { .. }, asked } => {
                Failure { fault: Fault::Malformed { why: "no page of a listing".to_owned() }, asked }
            }
            failure => failure,
        }
    }

    fn set(&self, status: Option<u16>, failure: Option<Failure>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (noted.status, noted.failure) = (status, failure);
    }

    fn most(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).most
    }
}

/// A client that takes notes.
#[derive(Debug)]
struct Watched {
    client: HttpClient,
    environment: Arc<Environment>,
    silence: Duration,
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // What asks for keys carries no note, and is left to `object_store`.
        let Some(note) = request.extensions().get::<Note>().cloned() else { return self.client.execute(request).await };
        let (status, answered) = match self.client.execute(request).await {
            Ok(response) => (Some(response.status().as_u16()), self.answered(response, note.most()).await),
            Err(error) => (None, Err(broken(&error, self.silence).into())),
        };
        answered
            .map_err(|failure| {
                let error = HttpError::new(HttpErrorKind::Unknown, failure.fault.clone());
                note.set(status, Some(failure));
                error
            })
            .inspect(|_| note.set(status, None))
    }
}

impl Watched {
    async fn answered(&self, response: HttpResponse, most: usize) -> Result<HttpResponse, Failure> {
        let (parts, body) = response.into_parts();
        let mut body = body.bytes_stream();
        if parts.status.is_success() {
            let mut bytes = BytesMut::new();
            while let Some(piece) = body.next().await {
                bytes.extend_from_slice(&piece.map_err(|error| broken(&error, self.silence))?);
                if bytes.len() > most {
                    return Err(Fault::WrongBytes { why: format!("more than {most} bytes") }.into());
                }
            }
            return Ok(HttpResponse::from_parts(parts, bytes.freeze().into()));
        }
        let mut said = Vec::new();
        // What can't be read of it is only not told.
        while let Some(Ok(piece)) = body.next().await
            && said.len() < LONGEST_REFUSAL
        {
            said.extend_from_slice(&piece);
        }
        Err(refused(parts.status, &parts.headers, &said, &self.environment))
    }
}

/// What a status that is no success means.
pub fn refused(status: StatusCode, headers: &HeaderMap, said: &[u8], environment: &Environment) -> Failure {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(shown);
    let fault = match status {
        StatusCode::PRECONDITION_FAILED => Fault::Changed { how: "its ETag is another".to_owned() },
        status if status.is_redirection() && headers.contains_key(LOCATION) => {
            Fault::Redirect { status: status.as_u16(), to: text("location").map(|to| without_query(&to)).unwrap_or_default() }
        }
        status => {
            let region = text("x-amz-bucket-region").filter(|_| status.is_redirection() || status == StatusCode::BAD_REQUEST);
            let region = region.map(|region| format!("; its bucket is in the region {region}")).unwrap_or_default();
            Fault::Refused { status: status.as_u16(), message: words(said, environment) + &region }
        }
    };
    Failure { fault, asked: pause_asked(headers) }
}

/// What follows the `?` of an address may be a signature, and what stands before an `@` a password.
pub fn without_query(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    match address.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('@'))) {
        Some((scheme, Some((_, rest)))) => format!("{scheme}://{rest}"),
        _ => address.to_owned(),
    }
}

fn broken(error: &HttpError, silence: Duration) -> Fault {
    match error.kind() {
        HttpErrorKind::Connect => Fault::Unreachable { why: causes(error) },
        HttpErrorKind::Timeout => Fault::Silence { silence },
        _ => Fault::CutOff { why: causes(error) },
    }
}

/// The bytes of an answer, which has as many as were asked for.
pub async fn whole(result: object_store::GetResult, wanted: usize) -> Result<Bytes, Failure> {
    let bytes = result.bytes().await.map_err(|error| Fault::CutOff { why: causes(&error) })?;
    match bytes.len() {
        came if came == wanted => Ok(bytes),
        came if came < wanted => Err(short(came, wanted).into()),
        came => Err(Fault::WrongBytes { why: format!("{came} bytes, and not {wanted}") }.into()),
    }
}
