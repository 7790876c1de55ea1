//! An OpenAPI 3.0 document: which operation a request is for, and what the document says against it and its
//! answer.

use std::path::Path;

use serde_json::{Map, Value, json};
use tidegate::manifest::connector::auth::{Auth, GrantType};

use super::fixture;
use super::schema::Schemas;
use super::wire::{Message, Passed};

/// A service's own description.
pub struct Document {
    whole: Value,
    pub schemas: Schemas,
    /// Whether bearer tokens are those of users who signed in, not the app's.
    pub has_user_tokens: bool,
}

/// A described operation and the values of its path.
struct Operation<'a> {
    described: &'a Value,
    path: Vec<(String, String)>,
}

impl Document {
    /// Reads it. `quirks` sets right what the document is known to say wrongly.
    pub fn read(path: &Path, quirks: impl FnOnce(&mut Value)) -> Document {
        let mut whole = fixture::json(path);
        quirks(&mut whole);
        let schemas = Schemas::new(&whole);
        Document { whole, schemas, has_user_tokens: false }
    }

    /// What a request has that the document does not permit, or lacks that it demands.
    pub fn wrong_request(&self, sent: &Message) -> Vec<String> {
        let Some(operation) = self.operation(sent) else {
            return vec!["the document has no such operation".to_owned()];
        };
        let mut wrong = self.wrong_parameters(&operation, sent);
        wrong.extend(self.wrong_body(operation.described, sent));
        wrong.extend(self.wrong_credentials(operation.described, sent));
        wrong
    }

    /// What is wrong with an answer by the schema declared for its status, or else by the one for all others.
    /// `None` where the document declares neither.
    pub fn wrong_answer(&self, passed: &Passed) -> Option<Vec<String>> {
        let responses = &self.operation(&passed.request)?.described["responses"];
        let response = responses.get(passed.answer.status().to_string()).or_else(|| responses.get("default"))?;
        let content = response["content"].as_object()?;
        let media = media_type(&passed.answer);
        Some(match content.get(media) {
            // A file: there is nothing to read in it.
            Some(declared) if self.schemas.target(&declared["schema"])["format"] == "binary" => Vec::new(),
            Some(declared) => self.schemas.wrong(&declared["schema"], &passed.answer.json()),
            None => vec![format!("an answer of the type `{media}` is not described")],
        })
    }

    /// What of our scheme the document does not permit for the operation of a request: also a scheme that this
    /// request was not sent with, as an account may have no other.
    pub fn wrong_scheme(&self, sent: &Message, ours: &Auth) -> Option<String> {
        let operation = self.operation(sent)?;
        let alternatives = operation.described["security"].as_array().into_iter().flatten();
        let mut named = alternatives.filter_map(Value::as_object).flatten();
        let accepted = |name: &str| {
            let scheme = &self.whole["components"]["securitySchemes"][name];
            match (scheme["type"].as_str(), scheme["scheme"].as_str(), ours) {
                (Some("http"), Some("OAuth"), Auth::Oauth1 { .. })
                | (Some("http"), Some("bearer"), Auth::Bearer { .. }) => true,
                (Some("http"), Some("bearer"), Auth::Oauth2(ours)) => ours.grant == GrantType::ClientCredentials,
                (Some("oauth2"), None, Auth::Oauth2(ours)) => ours.grant == GrantType::AuthorizationCode,
                _ => false,
            }
        };
        let Some((_, scopes)) = named.find(|(name, _)| accepted(name)) else {
            return Some(format!("such credentials are not accepted: {}", operation.described["security"]));
        };
        let Auth::Oauth2(ours) = ours else { return None };
        let mut scopes = scopes.as_array().into_iter().flatten().filter_map(Value::as_str);
        let lacking = scopes.find(|scope| !ours.scopes.iter().any(|asked| asked == scope))?;
        Some(format!("the scope `{lacking}` is not asked for"))
    }

    /// The description of the operation that a request is for.
    pub fn described(&self, sent: &Message) -> Option<&Value> {
        Some(self.operation(sent)?.described)
    }

    fn operation(&self, sent: &Message) -> Option<Operation<'_>> {
        let url = sent.url();
        let method = sent.method().to_ascii_lowercase();
        let described = self.whole["paths"].as_object()?.iter();
        let mut matching: Vec<_> = described
            .filter_map(|(template, item)| {
                let path = matched(template, url.path())?;
                Some(Operation { described: item.get(&method)?, path })
            })
            .collect();
        // Of `/users/me` and `/users/{id}` the first is meant.
        matching.sort_by_key(|operation| operation.path.len());
        matching.into_iter().next()
    }

    fn wrong_parameters(&self, operation: &Operation<'_>, sent: &Message) -> Vec<String> {
        let mut wrong = Vec::new();
        let declared = operation.described["parameters"].as_array().into_iter().flatten();
        let declared: Vec<&Value> = declared.map(|parameter| self.schemas.target(parameter)).collect();
        let query = sent.query();
        for (name, _) in &query {
            if !declared.iter().any(|parameter| parameter["in"] == "query" && parameter["name"] == *name) {
                wrong.push(format!("there is no query parameter `{name}`"));
            }
        }
        for parameter in declared {
            let name = parameter["name"].as_str().unwrap();
            let pairs = match parameter["in"].as_str().unwrap() {
                "query" => &query,
                "path" => &operation.path,
                _ => continue,
            };
            let named = pairs.iter().filter(|(known, _)| known == name);
            let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
            if values.is_empty() {
                if parameter["required"] == true {
                    wrong.push(format!("the parameter `{name}` is required"));
                }
                continue;
            }
            match self.parameter_value(parameter, &values) {
                Some(value) => {
                    let found = self.schemas.wrong(&parameter["schema"], &value);
                    wrong.extend(found.into_iter().map(|what| format!("`{name}`: {what}")));
                }
                None => wrong.push(format!("`{name}` comes {} times", values.len())),
            }
        }
        wrong
    }

    /// A parameter read back by its style: in a query lists repeat the name (`explode`, which holds unless it is
    /// said otherwise), or have commas.
    fn parameter_value(&self, parameter: &Value, values: &[&str]) -> Option<Value> {
        let schema = self.schemas.target(&parameter["schema"]);
        let is_exploded = parameter["in"] == "query" && parameter["explode"] != false;
        match (schema["type"] == "array", values) {
            (true, values) if is_exploded => Some(self.schemas.typed_list(schema, values)),
            (true, [joined]) => {
                let values: Vec<&str> = joined.split(',').collect();
                Some(self.schemas.typed_list(schema, &values))
            }
            (false, [value]) => Some(self.schemas.typed(schema, value)),
            _ => None,
        }
    }

    fn wrong_body(&self, described: &Value, sent: &Message) -> Vec<String> {
        let body = &described["requestBody"];
        if sent.body.is_empty() {
            let is_lacking = body["required"] == true;
            return is_lacking.then(|| "a body is required".to_owned()).into_iter().collect();
        }
        let media = media_type(sent);
        let Some(declared) = body["content"].get(media) else {
            return vec![format!("a body of the type {media} is not described")];
        };
        let schema = self.schemas.target(&declared["schema"]);
        match media {
            "application/json" => self.schemas.wrong(schema, &sent.json()),
            "application/x-www-form-urlencoded" => self.wrong_form(schema, &sent.form()),
            other => vec![format!("a body of the type {other} is not checked here")],
        }
    }

    fn wrong_form(&self, schema: &Value, pairs: &[(String, String)]) -> Vec<String> {
        let mut members = Map::new();
        let mut wrong = Vec::new();
        for (name, _) in pairs {
            let Some(property) = schema["properties"].get(name) else {
                wrong.push(format!("the form has no member `{name}`"));
                continue;
            };
            let property = self.schemas.target(property);
            let named = pairs.iter().filter(|(known, _)| known == name);
            let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
            let value = match values.as_slice() {
                values if property["type"] == "array" => self.schemas.typed_list(property, values),
                [value] => self.schemas.typed(property, value),
                values => {
                    wrong.push(format!("`{name}` comes {} times", values.len()));
                    continue;
                }
            };
            members.insert(name.clone(), value);
        }
        wrong.extend(self.schemas.wrong(schema, &Value::Object(members)));
        wrong
    }

    /// Whether one of the operation's security schemes is what the request was sent with. OAuth 1 has no type of
    /// its own in OpenAPI: documents call it `http` with the scheme `OAuth`.
    fn wrong_credentials(&self, described: &Value, sent: &Message) -> Option<String> {
        let given = sent.header("authorization").unwrap_or_default();
        let given = given.split(' ').next().unwrap_or_default();
        let accepted = described["security"].as_array().into_iter().flatten();
        let mut names = accepted.filter_map(Value::as_object).flat_map(Map::keys);
        let is_accepted = names.any(|name| {
            let scheme = &self.whole["components"]["securitySchemes"][name];
            if self.has_user_tokens && given == "Bearer" {
                return scheme["type"] == "oauth2";
            }
            let scheme = scheme["scheme"].as_str().filter(|_| scheme["type"] == "http");
            scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(given))
        });
        (!is_accepted).then(|| format!("`{given}` credentials are not accepted: {}", described["security"]))
    }
}

/// A message's media type, without its parameters.
pub fn media_type(message: &Message) -> &str {
    let whole = message.header("content-type").unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim()
}

/// The values of a path's templates, if the path is of that form.
fn matched(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut values = Vec::new();
    let mut segments = path.split('/');
    for part in template.split('/') {
        let segment = segments.next()?;
        let Some((before, rest)) = part.split_once('{') else {
            if part != segment {
                return None;
            }
            continue;
        };
        let (name, after) = rest.split_once('}').unwrap();
        let value = segment.strip_prefix(before)?.strip_suffix(after)?;
        values.push((name.to_owned(), value.to_owned()));
    }
    segments.next().is_none().then_some(values)
}

#[test]
fn a_path_finds_its_template() {
    let values = |template, path| matched(template, path).map(|values| json!(values));
    assert_eq!(values("/2/users/{id}/tweets", "/2/users/7/tweets"), Some(json!([["id", "7"]])));
    assert_eq!(values("/A/{Sid}.json", "/A/x.json"), Some(json!([["Sid", "x"]])));
    assert_eq!(values("/A/{Sid}.json", "/A/x"), None);
    assert_eq!(values("/A/{Sid}.json", "/A/x/y.json"), None);
    assert_eq!(values("/A", "/A/x"), None);
}
