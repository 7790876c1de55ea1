//! Recorded exchanges as the reference keeps them (its two README files describe the form): one exchange per
//! file, or the steps of a scenario. Files of another form are data of other tests and are passed over.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use url::Url;

/// A file.
pub struct Fixture {
    /// Its path below the folder.
    pub name: String,
    /// Its exchanges, in order; one unless it is a scenario.
    pub steps: Vec<Recorded>,
    /// Whether only the answer is real: status and request were put together by whoever kept the body.
    pub is_assumed: bool,
}

/// One exchange.
pub struct Recorded {
    pub request: Request,
    pub answer: Answer,
}

/// What was sent.
pub struct Request {
    pub method: String,
    pub url: Url,
    /// Members of a form or of a JSON body; null where there was none.
    pub body: Value,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Parsed where it was JSON, a string where it was something else, null where there was none.
    pub body: Value,
}

impl Fixture {
    /// All below a folder, by name.
    pub fn all(folder: &Path) -> Vec<Fixture> {
        let mut paths = Vec::new();
        collect(folder, &mut paths);
        paths.sort();
        let fixtures: Vec<Fixture> = paths
            .iter()
            .filter_map(|path| {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                Fixture::read(name, &json(path))
            })
            .collect();
        assert!(!fixtures.is_empty(), "no exchange below {}", folder.display());
        fixtures
    }

    fn read(name: String, file: &Value) -> Option<Fixture> {
        let steps = match file.get("steps").and_then(Value::as_array) {
            Some(steps) => steps.iter().map(Recorded::read).collect(),
            None => Recorded::read(file).map(|recorded| vec![recorded]),
        }?;
        let is_assumed = file["origin"]["kind"] == "body-only";
        Some(Fixture { name, steps, is_assumed })
    }
}

impl Recorded {
    fn read(exchange: &Value) -> Option<Recorded> {
        let (request, answer) = (exchange.get("request")?, exchange.get("response")?);
        let headers = answer["headers"].as_object().into_iter().flatten();
        Some(Recorded {
            request: Request {
                method: request["method"].as_str()?.to_owned(),
                url: Url::parse(request["url"].as_str()?).ok()?,
                body: request["body"].clone(),
            },
            answer: Answer {
                status: u16::try_from(answer["status"].as_u64()?).unwrap(),
                headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect(),
                body: answer["body"].clone(),
            },
        })
    }
}

impl Request {
    /// A query parameter, decoded; absent when it is empty.
    pub fn query(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        let (_, value) = pairs.find(|(known, value)| known == name && !value.is_empty())?;
        Some(value.into_owned())
    }

    /// A member of the body; absent when it is null or empty.
    pub fn member(&self, pointer: &str) -> Option<Value> {
        let value = self.body.pointer(pointer)?;
        (!value.is_null() && value != "").then(|| value.clone())
    }
}

impl Answer {
    /// An answer of our own making.
    pub fn ok(body: Value) -> Answer {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Answer { status: 200, headers, body }
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    /// The body as it travelled.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            body => serde_json::to_vec(body).unwrap(),
        }
    }
}

/// A JSON file.
pub fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A scalar as text.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
}
