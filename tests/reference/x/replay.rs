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
    /// The most records of a page.
    pub most: u32,
}

/// Which action an exchange is for, and its inputs; none for what none of them would read.
pub fn replay_of(recorded: &Recorded) -> Option<Replay> {
    if let Some(replay) = super::writing::replay_of(recorded) {
        return Some(replay);
    }
    let Recorded { request, answer } = recorded;
    let segments: Vec<&str> = request.url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
    let mut replay =
        Replay { action: "", inputs: Map::new(), given: Vec::new(), is_ours: true, user_id: "1".to_owned(), most: 100 };
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["2", "tweets", "search", which @ ("recent" | "all")]) => {
            (replay.action, replay.most) = match *which {
                "all" => ("search_archive", 500),
                _ => ("search_tweets", 100),
            };
            for name in ["query", "since_id", "until_id", "sort_order"] {
                replay.take_query(request, name);
            }
            replay.take_times(request);
            replay.take_size(request, 10);
        }
        ("GET", ["2", "tweets", "counts", "recent"]) => {
            replay.action = "list_counts";
            replay.take_query(request, "query");
            replay.take_query(request, "granularity");
        }
        ("GET", ["2", "tweets", id]) if is_id(id) => {
            replay.action = "get_tweet";
            replay.inputs.insert("id".to_owned(), json!(id));
        }
        ("GET", ["2", "users", "by", "username", username]) => {
            replay.action = "get_user";
            replay.inputs.insert("username".to_owned(), json!(username));
        }
        ("GET", ["2", "users", "by"]) => {
            replay.action = "get_users";
            replay.take_query(request, "usernames");
        }
        ("GET", ["2", "users", "search"]) => {
            replay.action = "search_users";
            replay.take_query(request, "query");
        }
        ("GET", ["2", "users", "me"]) => replay.action = "get_me",
        ("GET", ["2", "users", id, "timelines", "reverse_chronological"]) => {
            replay.action = "get_home_timeline";
            replay.is_ours = is_id(id);
            replay.user_id = (*id).to_owned();
            replay.take_query(request, "since_id");
            replay.take_size(request, 1);
        }
        ("GET", ["2", "users", id, list @ ("tweets" | "mentions" | "followers" | "following")]) => {
            replay.action = match *list {
                "tweets" => "get_user_timeline",
                "mentions" => "get_mentions",
                "followers" => "get_followers",
                _ => "get_following",
            };
            // A place holder where the id should be stands for no account.
            replay.is_ours = is_id(id);
            if replay.is_ours {
                replay.inputs.insert("user_id".to_owned(), json!(id));
            }
            if matches!(*list, "tweets" | "mentions") {
                replay.take_query(request, "since_id");
                replay.take_size(request, 5);
            } else {
                replay.most = 1_000;
                replay.take_size(request, 1);
            }
        }
        ("POST", ["2", "tweets"]) => {
            replay.action = "create_tweet";
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
                ("POST" | "PUT" | "DELETE", _, 400..) => "create_tweet",
                ("GET", ["2", "tweets"] | ["2", "tweets", _, "quote_tweets"], 200) => "search_tweets",
                ("GET", ["2", "users", _, "liked_tweets"], 200) => "search_tweets",
                ("GET", ["2", "tweets", _, "retweeted_by" | "liking_users"], 200) => "get_followers",
                ("GET", ["2", "users"], 200) => "get_users",
                ("GET", ["2", "tweets", "counts", "all"], 200) => "list_counts",
                ("GET", ["2", "users", id], 200) if is_id(id) => "get_me",
                // Version 1.1 says the same in its own form.
                ("GET", ["1.1", "search", "tweets.json"], 200) => "search_tweets",
                ("GET", ["1.1", "statuses", "user_timeline.json"], 200) => "get_user_timeline",
                ("GET", ["1.1", "statuses", "home_timeline.json"], 200) => "get_home_timeline",
                ("GET", ["1.1", "statuses", "mentions_timeline.json"], 200) => "get_mentions",
                ("GET", ["1.1", "statuses", "lookup.json" | "retweets_of_me.json"], 200) => "search_tweets",
                ("GET", ["1.1", "statuses", "show.json"] | ["1.1", "statuses", "show", _], 200) => "get_tweet",
                ("GET", ["1.1", "users", "lookup.json" | "search.json"], 200) => "get_users",
                ("GET", ["1.1", "users", "show.json"] | ["1.1", "account", _], 200) => "get_me",
                ("GET", ["1.1", "followers", "list.json"], 200) => "get_followers",
                ("GET", ["1.1", "friends", "list.json"], 200) => "get_following",
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

    /// Times, which are sent to the second in UTC.
    fn take_times(&mut self, request: &Request) {
        for name in ["start_time", "end_time"] {
            let Some(value) = request.query(name) else { continue };
            self.inputs.insert(name.to_owned(), json!(value));
            if let Ok(time) = value.parse::<jiff::Timestamp>() {
                let second = jiff::Timestamp::from_second(time.as_second()).unwrap();
                self.given.push(Given::Query(name, second.to_string()));
            }
        }
    }

    /// Sizes that the service would refuse are brought into its range.
    fn take_size(&mut self, request: &Request, least: u32) {
        let Some(size) = request.query("max_results").and_then(|size| size.parse::<u32>().ok()) else {
            return;
        };
        self.inputs.insert("max_results".to_owned(), json!(size));
        self.given.push(Given::Query("max_results", size.clamp(least, self.most).to_string()));
    }
}

/// Inputs with something in place of what was not recorded.
pub fn completed(action: &str, inputs: &Value) -> Value {
    let mut inputs = inputs.clone();
    let stand_in = match action {
        "search_tweets" | "search_archive" | "search_users" | "list_counts" => ("query", "anything"),
        "get_users" => ("usernames", "anyone"),
        "get_user_timeline" | "get_mentions" | "get_followers" | "get_following" => ("user_id", "1"),
        "get_tweet" => ("id", "1"),
        "get_user" => ("username", "anyone"),
        "create_tweet" => ("text", "anything"),
        "delete_tweet" => ("id", "1"),
        _ => return inputs,
    };
    let members = inputs.as_object_mut().unwrap();
    members.entry(stand_in.0).or_insert_with(|| json!(stand_in.1));
    inputs
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
