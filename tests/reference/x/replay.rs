//! Which action a recorded exchange of X is for, and its inputs as far as they were recorded.

use serde_json::{Map, Value, json};

use crate::reference::answer::Given;
use crate::reference::fixture::{Recorded, Request};

/// How an exchange is replayed.
pub struct Replay {
    pub action: &'static str,
    pub inputs: Map<String, Value>,
    /// What must be the same in our request.
    pub given: Vec<Given>,
    /// Whether it is one of our operations, so that method and path must be the same.
    pub is_ours: bool,
    pub user_id: String,
}

/// Which action an exchange is for, and its inputs; none for what none of them would read.
pub fn replay_of(recorded: &Recorded) -> Option<Replay> {
    let Recorded { request, answer } = recorded;
    let segments: Vec<&str> = request.url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
    let mut replay =
        Replay { action: "", inputs: Map::new(), given: Vec::new(), is_ours: true, user_id: "1".to_owned() };
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["2", "tweets", "search", "recent"]) => {
            replay.action = "search_tweets";
            for name in ["query", "since_id", "until_id", "start_time", "end_time", "sort_order"] {
                replay.take_query(request, name);
            }
            replay.take_size(request, 10);
        }
        ("GET", ["2", "tweets", "counts", "recent"]) => {
            replay.action = "count_tweets";
            replay.take_query(request, "query");
            replay.take_query(request, "granularity");
        }
        ("GET", ["2", "users", "by", "username", username]) => {
            replay.action = "get_user";
            replay.inputs.insert("username".to_owned(), json!(username));
        }
        ("GET", ["2", "users", "me"]) => replay.action = "get_me",
        ("GET", ["2", "users", id, "tweets"]) => {
            replay.action = "get_own_tweets";
            // A place holder where the id should be stands for no account.
            replay.is_ours = id.bytes().all(|byte| byte.is_ascii_digit());
            replay.user_id = (*id).to_owned();
            replay.take_query(request, "since_id");
            replay.take_size(request, 5);
        }
        ("POST", ["2", "tweets"]) => {
            replay.action = "post_tweet";
            for (input, pointer) in [
                ("text", "/text"),
                ("reply_to", "/reply/in_reply_to_tweet_id"),
                ("quote", "/quote_tweet_id"),
                ("reply_settings", "/reply_settings"),
            ] {
                if let Some(value) = request.member(pointer) {
                    replay.inputs.insert(input.to_owned(), value.clone());
                    replay.given.push(Given::Json(pointer, value));
                }
            }
        }
        ("DELETE", ["2", "tweets", id]) => {
            replay.action = "delete_tweet";
            replay.inputs.insert("id".to_owned(), json!(id));
        }
        (method, segments) => {
            replay.is_ours = false;
            replay.action = match (method, segments, answer.status) {
                ("GET", _, 400..) => "search_tweets",
                ("POST" | "PUT" | "DELETE", _, 400..) => "post_tweet",
                ("GET", ["2", "tweets"], 200) => "search_tweets",
                ("GET", ["2", "tweets", "search", "all"] | ["2", "tweets", _, "quote_tweets"], 200) => "search_tweets",
                ("GET", ["2", "users", _, "mentions" | "liked_tweets"], 200) => "search_tweets",
                ("GET", ["2", "users", _, "timelines", _], 200) => "search_tweets",
                ("GET", ["2", "tweets", "counts", "all"], 200) => "count_tweets",
                ("GET", ["2", "users", id], 200) if id.bytes().all(|byte| byte.is_ascii_digit()) => "get_me",
                _ => return None,
            };
        }
    }
    Some(replay)
}

impl Replay {
    fn take_query(&mut self, request: &Request, name: &'static str) {
        if let Some(value) = request.query(name) {
            self.inputs.insert(name.to_owned(), json!(value));
            self.given.push(Given::Query(name, value));
        }
    }

    /// Sizes that the service would refuse are brought into its range.
    fn take_size(&mut self, request: &Request, least: u32) {
        let Some(size) = request.query("max_results").and_then(|size| size.parse::<u32>().ok()) else {
            return;
        };
        self.inputs.insert("max_results".to_owned(), json!(size));
        self.given.push(Given::Query("max_results", size.clamp(least, 100).to_string()));
    }
}

/// Inputs with something in place of what was not recorded.
pub fn completed(action: &str, inputs: &Value) -> Value {
    let mut inputs = inputs.clone();
    let stand_in = match action {
        "search_tweets" | "count_tweets" => ("query", "anything"),
        "get_user" => ("username", "anyone"),
        "post_tweet" => ("text", "anything"),
        "delete_tweet" => ("id", "1"),
        _ => return inputs,
    };
    let members = inputs.as_object_mut().unwrap();
    members.entry(stand_in.0).or_insert_with(|| json!(stand_in.1));
    inputs
}
