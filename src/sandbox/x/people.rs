//! X's users: by name, by id, by search, and who follows whom, the newest follow first.

use serde_json::{Value, json};

use super::answers::{user_answer, user_list};
use super::problems;
use super::selection::{Selection, USER_EXPANSIONS};
use super::store::{Store, User};
use super::window::{bind, read_number, read_place, refuse_unknown, token};
use crate::sandbox::exchange::{Answer, Call};

const FIELDS: &[&str] = &["user.fields", "expansions", "tweet.fields", "post.fields"];
/// Users of one lookup.
const AT_ONCE: usize = 100;

/// `GET /2/users/by/username/:username`, `GET /2/users/me`
pub(super) fn one(store: &Store, call: &Call<'_>, username: &str) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    refuse_unknown(&parameters, &[], FIELDS)?;
    let selection = Selection::read(&parameters, USER_EXPANSIONS)?;
    if !is_username(username) {
        let message =
            format!("The `username` query parameter value [{username}] does not match ^[A-Za-z0-9_]{{1,15}}$");
        return Err(problems::invalid("username", &[username], &message));
    }
    Ok(match store.user_named(username) {
        Some(user) => user_answer(store, user, &selection),
        None => json!({"errors": [problems::not_found("user", "username", username)]}),
    })
}

/// `GET /2/users/by?usernames=`, `GET /2/users?ids=`: what is found, and an error for each that is not.
pub(super) fn several(store: &Store, call: &Call<'_>, by: &'static str) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    refuse_unknown(&parameters, &[by], FIELDS)?;
    let selection = Selection::read(&parameters, USER_EXPANSIONS)?;
    let Some(list) = parameters.filled(by) else {
        return Err(problems::invalid(by, &[], &format!("The `{by}` query parameter can not be empty")));
    };
    let names: Vec<&str> = list.split(',').collect();
    if names.len() > AT_ONCE {
        let message = format!(
            "The number of values in the `{by}` query parameter list [{}] is not between 1 and {AT_ONCE}",
            names.len()
        );
        return Err(problems::invalid(by, &[list], &message));
    }
    let (is_valid, pattern, parameter): (fn(&str) -> bool, _, _) = match by {
        "ids" => (super::post::is_id, "^[0-9]{1,19}$", "ids"),
        _ => (is_username, "^[A-Za-z0-9_]{1,15}$", "usernames"),
    };
    if let Some(wrong) = names.iter().find(|name| !is_valid(name)) {
        let message = format!("The `{by}` query parameter value [{wrong}] does not match {pattern}");
        return Err(problems::invalid(by, &[wrong], &message));
    }
    let mut users = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        let found = match by {
            "ids" => name.parse().ok().and_then(|id| store.user(id)),
            _ => store.user_named(name),
        };
        match found {
            Some(user) => users.push(user),
            None => missing.push(problems::not_found("user", parameter, name)),
        }
    }
    Ok(user_list(store, &users, &selection, missing, Value::Null))
}

/// `GET /2/users/search?query=`
pub(super) fn search(store: &Store, call: &Call<'_>) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    refuse_unknown(&parameters, &["query", "max_results", "next_token"], FIELDS)?;
    let selection = Selection::read(&parameters, USER_EXPANSIONS)?;
    let Some(query) = parameters.filled("query") else {
        return Err(problems::invalid("query", &[], "The `query` query parameter can not be empty"));
    };
    let is_valid = query.chars().count() <= 50
        && query.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '\'' | ' '));
    if !is_valid {
        let message = format!("The `query` query parameter value [{query}] does not match ^[A-Za-z0-9_' ]{{1,50}}$");
        return Err(problems::invalid("query", &[query], &message));
    }
    let size = read_number(&parameters, "max_results", 100, 1, 1_000)?;
    let binding = bind(&parameters, 1);
    let after = read_place(&parameters, "next_token", binding)?;
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let matches = |user: &User| {
        let text = format!("{} {}", user.username, user.name).to_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    };
    let found = store.users_after(after.unwrap_or(0)).filter(|user| matches(user)).map(|user| (user.id, user));
    Ok(page(store, found, size, binding, &selection, call))
}

/// Which way a follow is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Followers,
    Following,
}

/// `GET /2/users/:id/followers`, `GET /2/users/:id/following`
pub(super) fn follows(store: &Store, id: u64, way: Way, call: &Call<'_>) -> Result<Value, Answer> {
    let parameters = call.parameters(false);
    refuse_unknown(&parameters, &["max_results", "pagination_token"], FIELDS)?;
    let selection = Selection::read(&parameters, USER_EXPANSIONS)?;
    let size = read_number(&parameters, "max_results", 100, 1, 1_000)?;
    let binding = bind(&parameters, id ^ u64::from(way == Way::Following));
    let before = read_place(&parameters, "pagination_token", binding)?.unwrap_or(u64::MAX);
    let found = store.follows(id, way == Way::Following, before);
    let found = found.filter_map(|(number, user)| Some((number, store.user(user)?)));
    Ok(page(store, found, size, binding, &selection, call))
}

/// A page of users; `found` gives each with its place in the list.
fn page<'a>(
    store: &Store,
    mut found: impl Iterator<Item = (u64, &'a User)>,
    size: usize,
    binding: u64,
    selection: &Selection,
    call: &Call<'_>,
) -> Value {
    let taken = call.page_limit.map_or(size, |limit| limit.min(size));
    let listed: Vec<(u64, &User)> = found.by_ref().take(taken).collect();
    let mut meta = json!({"result_count": listed.len()});
    let has_more = found.next().is_some();
    if let Some((place, _)) = listed.last().filter(|_| has_more) {
        meta["next_token"] = token(*place, binding).into();
    }
    let users: Vec<&User> = listed.into_iter().map(|(_, user)| user).collect();
    user_list(store, &users, selection, Vec::new(), meta)
}

fn is_username(name: &str) -> bool {
    (1..=15).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
