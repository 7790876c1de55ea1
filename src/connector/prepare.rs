//! From a call to a request that is ready to go: inputs completed and checked, credentials chosen, everything
//! rendered. No I/O, except that files are looked at: those of inputs, and how long that of `file.append` is.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use url::Url;

use super::action::Action;
use super::auth::Credentials;
use super::builtin::{self, Builtin};
use super::connection::{Connection, Ways};
use super::files::Folders;
use super::files::input::Bound;
use super::files::save::Download;
use super::limits::{Asker, Keys, Limits};
use super::message::{Body, HttpRequest, Method};
use super::paginator::PageToken;
use super::request::append_query;
use crate::engine::Failure;
use crate::manifest::connector::{self as written, Format};
use crate::template::Scope;

/// How large an answer that becomes a file may be, where nothing is written.
const MAX_DOWNLOAD_BYTES: u64 = 100 * 1024 * 1024;

/// One call of an action, or one page or one element of it.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The account.
    pub connection: &'a Arc<Connection>,
    /// What is called.
    pub action: &'a Arc<Action>,
    /// The inputs as the step gives them.
    pub inputs: Value,
    /// The element, for an action with `foreach`.
    pub element: Option<Value>,
    /// The page to ask for; the first unless given.
    pub page: Option<&'a PageToken>,
    /// The same for every attempt of a step, for services that take one.
    pub idempotency_key: Option<String>,
    /// Of this attempt, in milliseconds; the action's own unless given.
    pub timeout_ms: Option<i64>,
    /// Whether an earlier attempt of this step has an outcome that is not known.
    pub after_uncertain: bool,
    /// What [`Prepared::journal`] gave at an earlier attempt of this step.
    pub journal: Option<Value>,
    /// What [`super::Executor::resolve`] looked up.
    pub resolved: Option<Value>,
}

/// An `http` step: its input as rendered, and the account that signs it.
#[derive(Clone, Debug)]
pub struct AdHoc<'a> {
    /// The account; the URL must be on one of its hosts.
    pub connection: Option<&'a Arc<Connection>>,
    /// `{url, method, query, headers, json | form | raw}`
    pub inputs: Value,
    /// Of this attempt, in milliseconds; 30 s unless given.
    pub timeout_ms: Option<i64>,
    /// Whether an earlier attempt of this step has an outcome that is not known.
    pub after_uncertain: bool,
}

/// Ready to be permitted and sent.
#[derive(Debug)]
pub struct Prepared {
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) action: Arc<Action>,
    pub(super) credentials: Ways,
    pub(super) work: Work,
    /// Holds `inputs`, for selectors and rules.
    pub(super) scope: Scope,
    pub(super) page: Option<PageToken>,
    /// The limits that it counts against.
    pub(super) keys: Keys,
    pub(super) timeout_ms: i64,
    pub(super) after_uncertain: bool,
}

#[derive(Debug)]
pub(super) enum Work {
    Request(HttpRequest),
    /// A request whose answer becomes a file.
    Download(HttpRequest, Download),
    /// A request whose answer is given as `{status, headers, body}`.
    AdHoc(HttpRequest),
    Builtin(Builtin),
}

impl<'a> Call<'a> {
    /// A call with nothing special about it.
    pub fn new(connection: &'a Arc<Connection>, action: &'a Arc<Action>, inputs: Value) -> Self {
        Call {
            connection,
            action,
            inputs,
            element: None,
            page: None,
            idempotency_key: None,
            timeout_ms: None,
            after_uncertain: false,
            journal: None,
            resolved: None,
        }
    }

    /// The scope of its templates, with inputs completed and checked.
    pub(super) fn scope(&self) -> Result<Scope, Failure> {
        let inputs = self.action.inputs.resolve(self.inputs.clone(), &self.connection.defaults, &self.action)?;
        let inputs = self.connection.restrict(self.action, inputs)?;
        let mut scope = Scope::new();
        scope.set("inputs", Value::Object(inputs));
        if self.action.reads_connection {
            scope.set("connection", self.connection.fields(self.action));
        }
        if let Some(resolved) = &self.resolved {
            scope.set("resolved", resolved.clone());
        }
        Ok(scope)
    }
}

impl Prepared {
    /// Prepares a call. `files` are the files that it may read and write.
    pub(super) fn new(
        call: Call<'_>,
        files: &builtin::Files,
        limits: &Limits,
        now_ms: i64,
    ) -> Result<Prepared, Failure> {
        let connection = call.connection;
        let action = call.action;
        if !connection.active {
            let message = format!("the connection `{}` is switched off", connection.name);
            return Err(Failure::not_sent("connection_inactive", message).with_help(format!(
                "set `active: true` in tidegate.yaml; a stored one: `tidegate connections activate {}`",
                connection.name
            )));
        }
        super::composite::refuse(action)?;
        let mut scope = call.scope()?;
        scope.set_now(now_ms);
        action.refuse(&scope)?;
        if let (Some(foreach), Some(element)) = (&action.foreach, call.element) {
            scope.set(&foreach.name, element);
        }
        for input in &action.files {
            input.check(&scope, files.folders(), action)?;
        }
        // What sends nothing asks nobody.
        let credentials = match action.builtin {
            Some(written::Builtin::Answer) => Ways::default(),
            _ => connection.credentials(action)?,
        };
        let work = match action.builtin {
            Some(builtin) => {
                let rendered = action.request.json(&scope)?;
                let best = credentials.first().map_or(&Credentials::None, |best| best.as_ref());
                let account = (connection.as_ref(), best);
                Work::Builtin(Builtin::prepare(builtin, &scope, rendered, call.journal, files, account)?)
            }
            None => {
                let base = connection.host(action, &scope)?;
                let counted = action.paginator.as_ref().and_then(|paginator| paginator.first());
                let target = action.paginator.as_ref().and_then(|paginator| paginator.target());
                let page = call.page.or(counted.as_ref()).map(|page| (page, target));
                let mut request = action.request.render(base, &scope, page, files.folders())?;
                if let (Some(header), Some(key)) = (action.key_header(), call.idempotency_key) {
                    request.headers.push((header.to_owned(), key));
                }
                match action.format {
                    Format::Binary => Work::Download(request, download(action, &scope, files.folders())?),
                    Format::Json | Format::Text | Format::Any => Work::Request(request),
                }
            }
        };
        Ok(Prepared {
            connection: Some(Arc::clone(connection)),
            action: Arc::clone(action),
            credentials,
            work,
            scope,
            page: call.page.cloned(),
            keys: connection.limit_keys(action, limits)?,
            timeout_ms: call.timeout_ms.unwrap_or(action.timeout_ms),
            after_uncertain: call.after_uncertain,
        })
    }

    /// Prepares an `http` step.
    pub(super) fn ad_hoc(call: AdHoc<'_>, action: &Arc<Action>, limits: &Limits) -> Result<Prepared, Failure> {
        let request = ad_hoc_request(&call.inputs)?;
        let credentials = match call.connection {
            Some(connection) if !connection.allowed.contains(&request.url) => {
                let message = format!(
                    "the connection `{}` signs requests to its own hosts only, and {} is none of them",
                    connection.name,
                    request.url.host_str().unwrap_or_default()
                );
                return Err(Failure::not_sent("host_refused", message)
                    .with_help("ask one of its hosts, or leave `connection` out"));
            }
            Some(connection) => connection.best_credentials()?,
            None => Vec::new(),
        };
        let keys = match call.connection {
            Some(connection) => connection.limit_keys(action, limits)?,
            // What a 429 blocks is the host that gave it.
            None => {
                let host = request.url.host_str().unwrap_or_default();
                let asker = Asker { connector: &action.name, connection: &action.name, app: None, action: host };
                limits.keys(asker, &[]).map_err(|message| Failure::not_sent("limit_invalid", message))?
            }
        };
        Ok(Prepared {
            connection: call.connection.cloned(),
            action: Arc::clone(action),
            credentials,
            work: Work::AdHoc(request),
            scope: Scope::new(),
            page: None,
            keys,
            timeout_ms: call.timeout_ms.unwrap_or(action.timeout_ms),
            after_uncertain: call.after_uncertain,
        })
    }

    /// What has to be journaled before it is sent, and given back in [`Call::journal`] when it is repeated.
    pub fn journal(&self) -> Option<Value> {
        match &self.work {
            Work::Builtin(builtin) => builtin.journal(),
            Work::Request(_) | Work::Download(..) | Work::AdHoc(_) => None,
        }
    }

    /// What will be sent, for `--dry-run`: method, URL, headers and body before credentials are added, secrets
    /// masked.
    pub fn preview(&self) -> Value {
        let request = match &self.work {
            Work::Request(request) | Work::Download(request, _) | Work::AdHoc(request) => request,
            Work::Builtin(builtin) => return builtin.preview(),
        };
        let body = match &request.body {
            Body::Empty => Value::Null,
            Body::Json(bytes) => serde_json::from_slice(bytes).unwrap_or(Value::Null),
            Body::Raw(bytes) => Value::from(String::from_utf8_lossy(bytes)),
            Body::Multipart(parts) => parts.shown(),
            Body::Form(pairs) => pairs.iter().map(|(name, value)| json!([name, value])).collect(),
        };
        let headers: Map<String, Value> =
            request.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let mut shown =
            json!({"method": request.method.as_str(), "url": request.url.as_str(), "headers": headers, "body": body});
        if let Work::Download(_, download) = &self.work {
            shown["save_to"] = download.preview();
        }
        shown
    }
}

/// Where an answer goes, and how large it may be.
fn download(action: &Action, scope: &Scope, folders: &Folders) -> Result<Download, Failure> {
    let saving = &action.saving;
    let evaluated = |error| super::template_failure(&error);
    let path = saving.path.as_ref().map(|path| path.evaluate(scope)).transpose().map_err(evaluated)?;
    let bound = saving.max_bytes.as_ref().map(|limit| limit.evaluate(scope)).transpose().map_err(evaluated)?;
    let limit_bytes = match Bound::read(bound.unwrap_or(Value::Null))? {
        Bound::Bytes(bytes) => bytes,
        Bound::None | Bound::ByFamily(_) => MAX_DOWNLOAD_BYTES,
    };
    let path = path.filter(|path| !path.is_null());
    let path = path.map(|path| super::request::texts(&path).concat());
    Download::new(folders, path.as_deref(), limit_bytes)
}

fn ad_hoc_request(inputs: &Value) -> Result<HttpRequest, Failure> {
    let refused = |message: String| Failure::not_sent("http_invalid", message);
    let text = |name: &str| inputs.get(name).and_then(Value::as_str);
    let url = text("url").ok_or_else(|| refused("an `http` step needs a `url`".to_owned()))?;
    let mut url = Url::parse(url).map_err(|error| refused(format!("`{url}` is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refused("only http and https URLs with a host can be asked".to_owned()));
    }
    append_query(&mut url, &pairs(inputs.get("query")));
    let method = text("method").unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| refused(format!("`{method}` is no HTTP method")))?;
    let body = match (inputs.get("json"), inputs.get("form"), text("raw")) {
        (Some(json), _, _) => Body::Json(json.to_string().into()),
        (None, Some(form), _) => Body::Form(pairs(Some(form))),
        (None, None, Some(raw)) => Body::Raw(raw.to_owned().into()),
        (None, None, None) => Body::Empty,
    };
    let headers = pairs(inputs.get("headers"));
    for (name, value) in &headers {
        super::request::refuse_control(name, value)?;
    }
    Ok(HttpRequest { method, url, headers, body })
}

fn pairs(members: Option<&Value>) -> Vec<(String, String)> {
    let members = members.and_then(Value::as_object).into_iter().flatten();
    members
        .flat_map(|(name, value)| super::request::texts(value).into_iter().map(|value| (name.clone(), value)))
        .collect()
}

/// The elements of a call to an action with `foreach`; `None` for any other.
pub(super) fn elements(call: &Call<'_>) -> Result<Option<Vec<Value>>, Failure> {
    match (&call.action.foreach, &call.element) {
        (Some(foreach), None) => foreach.elements(&call.scope()?).map(Some),
        _ => Ok(None),
    }
}

/// How many records a call passes over, and the most that it reads.
pub(super) fn bounds(call: &Call<'_>) -> Result<(usize, Option<usize>), Failure> {
    let scope = call.scope()?;
    Ok((call.action.skipped(&scope)?, call.action.most(&scope)?))
}
