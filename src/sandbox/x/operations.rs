//! What the sandbox's X can do: which path is which operation, who may call it, and how often.

use axum::http::Method;

use super::post;

/// One operation. Its place in `NAMES` is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::sandbox) enum Operation {
    SearchTweets,
    CountTweets,
    GetUserTweets,
    GetUser,
    GetMe,
    GetTweet,
    PostTweet,
    DeleteTweet,
    SearchArchive,
    GetUsers,
    SearchUsers,
    GetFollowers,
    GetFollowing,
    GetMentions,
    GetHome,
    Retweet,
    UndoRetweet,
    InitializeUpload,
    AppendUpload,
    FinalizeUpload,
    GetUpload,
    DescribeMedia,
    SendMessage,
    BeginGroup,
    ListMessages,
    GetMessage,
    DeleteMessage,
    SendMessageV1,
    ListMessagesV1,
    GetMessageV1,
    DeleteMessageV1,
    IndicateTyping,
    MarkRead,
    ListWebhooks,
    RegisterWebhook,
    ValidateWebhook,
    DeleteWebhook,
    Subscribe,
    CheckSubscription,
    ListSubscriptions,
    Unsubscribe,
    DownloadMedia,
    DownloadSignedMedia,
}

/// What faults and the ledger call them.
pub(super) const NAMES: &[&str] = &[
    "search_tweets",
    "count_tweets",
    "get_user_tweets",
    "get_user",
    "get_me",
    "get_tweet",
    "post_tweet",
    "delete_tweet",
    "search_archive",
    "get_users",
    "search_users",
    "get_followers",
    "get_following",
    "get_mentions",
    "get_home",
    "retweet",
    "undo_retweet",
    "initialize_upload",
    "append_upload",
    "finalize_upload",
    "get_upload",
    "describe_media",
    "send_message",
    "begin_group",
    "list_messages",
    "get_message",
    "delete_message",
    "send_message_v1",
    "list_messages_v1",
    "get_message_v1",
    "delete_message_v1",
    "indicate_typing",
    "mark_read",
    "list_webhooks",
    "register_webhook",
    "validate_webhook",
    "delete_webhook",
    "subscribe",
    "check_subscription",
    "list_subscriptions",
    "unsubscribe",
    "download_media",
    "download_signed_media",
    // Those of a sign-in have no number.
    "request_token",
    "authorize",
    "access_token",
    "authorize_app",
    "token",
    "revoke_token",
    "app_token",
];

/// Who calls, by the kind of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    App,
    Oauth1User,
    Oauth2User,
}

impl Caller {
    /// The kind of authentication, as X names it in its messages.
    pub fn title(self) -> &'static str {
        match self {
            Caller::App => "OAuth 2.0 Application-Only",
            Caller::Oauth1User => "OAuth 1.0a User Context",
            Caller::Oauth2User => "OAuth 2.0 User Context",
        }
    }
}

/// The operation of a method and path, and what the path names: an id, or a user name.
pub(super) fn route<'a>(method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
    writing(method, path).or_else(|| reading(method, path))
}

/// Uploads, messages, retweets, webhooks.
fn writing<'a>(method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    // What lies between two parts of the path.
    let between = |start: &str, end: &str| path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    let found = match (method.as_str(), segments.as_slice()) {
        ("POST", ["2", "users", _, "retweets"]) => (Operation::Retweet, ""),
        ("DELETE", ["2", "users", _, "retweets", id]) => (Operation::UndoRetweet, *id),
        ("POST", ["2", "media", "upload", "initialize"]) => (Operation::InitializeUpload, ""),
        ("POST", ["2", "media", "upload", id, "append"]) => (Operation::AppendUpload, *id),
        ("POST", ["2", "media", "upload", id, "finalize"]) => (Operation::FinalizeUpload, *id),
        ("GET", ["2", "media", "upload"]) => (Operation::GetUpload, ""),
        ("POST", ["2", "media", "metadata"]) => (Operation::DescribeMedia, ""),
        ("POST", ["2", "dm_conversations"]) => (Operation::BeginGroup, ""),
        ("POST", ["2", "dm_conversations", .., "messages"]) => {
            (Operation::SendMessage, between("/2/dm_conversations/", "/messages")?)
        }
        ("GET", ["2", "dm_events"]) => (Operation::ListMessages, ""),
        ("GET", ["2", "dm_conversations", .., "dm_events"]) => {
            (Operation::ListMessages, between("/2/dm_conversations/", "/dm_events")?)
        }
        ("GET", ["2", "dm_events", id]) => (Operation::GetMessage, *id),
        ("GET", ["2", "dm_conversations", "media", _, _, _]) => {
            (Operation::DownloadMedia, path.strip_prefix("/2/dm_conversations/media/")?)
        }
        ("GET", ["1.1", "ton", "data", "dm", _, _, _]) => {
            (Operation::DownloadSignedMedia, path.strip_prefix("/1.1/ton/data/dm/")?)
        }
        ("DELETE", ["2", "dm_events", id]) => (Operation::DeleteMessage, *id),
        ("POST", ["1.1", "direct_messages", "events", "new.json"]) => (Operation::SendMessageV1, ""),
        ("GET", ["1.1", "direct_messages", "events", "list.json"]) => (Operation::ListMessagesV1, ""),
        ("GET", ["1.1", "direct_messages", "events", "show.json"]) => (Operation::GetMessageV1, ""),
        ("DELETE", ["1.1", "direct_messages", "events", "destroy.json"]) => (Operation::DeleteMessageV1, ""),
        ("POST", ["1.1", "direct_messages", "indicate_typing.json"]) => (Operation::IndicateTyping, ""),
        ("POST", ["1.1", "direct_messages", "mark_read.json"]) => (Operation::MarkRead, ""),
        ("GET", ["2", "webhooks"]) => (Operation::ListWebhooks, ""),
        ("POST", ["2", "webhooks"]) => (Operation::RegisterWebhook, ""),
        ("PUT", ["2", "webhooks", id]) => (Operation::ValidateWebhook, *id),
        ("DELETE", ["2", "webhooks", id]) => (Operation::DeleteWebhook, *id),
        ("GET", ["1.1", "account_activity", "all", environment, "webhooks.json"]) => {
            (Operation::ListWebhooks, *environment)
        }
        ("POST", ["1.1", "account_activity", "all", environment, "webhooks.json"]) => {
            (Operation::RegisterWebhook, *environment)
        }
        ("PUT", ["1.1", "account_activity", "all", _, "webhooks", id]) => {
            (Operation::ValidateWebhook, id.strip_suffix(".json")?)
        }
        ("DELETE", ["1.1", "account_activity", "all", _, "webhooks", id]) => {
            (Operation::DeleteWebhook, id.strip_suffix(".json")?)
        }
        ("POST", ["1.1", "account_activity", "all", environment, "subscriptions.json"]) => {
            (Operation::Subscribe, *environment)
        }
        ("POST", ["2", "account_activity", "webhooks", id, "subscriptions", "all"]) => (Operation::Subscribe, *id),
        ("GET", ["2", "account_activity", "webhooks", id, "subscriptions", "all"]) => {
            (Operation::CheckSubscription, *id)
        }
        ("GET", ["2", "account_activity", "webhooks", id, "subscriptions", "all", "list"]) => {
            (Operation::ListSubscriptions, *id)
        }
        ("DELETE", ["2", "account_activity", "webhooks", _, "subscriptions", _, "all"]) => {
            (Operation::Unsubscribe, between("/2/account_activity/webhooks/", "/all")?)
        }
        _ => return None,
    };
    Some(found)
}

/// Tweets and users.
fn reading<'a>(method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
    let rest = path.strip_prefix("/2/")?;
    let one = |prefix: &str| rest.strip_prefix(prefix).filter(|name| !name.is_empty() && !name.contains('/'));
    match *method {
        Method::POST if rest == "tweets" => Some((Operation::PostTweet, "")),
        Method::DELETE => Some((Operation::DeleteTweet, one("tweets/")?)),
        Method::GET => match rest {
            "tweets/search/recent" => Some((Operation::SearchTweets, "")),
            "tweets/search/all" => Some((Operation::SearchArchive, "")),
            "tweets/counts/recent" => Some((Operation::CountTweets, "")),
            "users/me" => Some((Operation::GetMe, "")),
            "users/by" => Some((Operation::GetUsers, "usernames")),
            "users" => Some((Operation::GetUsers, "ids")),
            "users/search" => Some((Operation::SearchUsers, "")),
            _ => {
                if let Some(name) = one("users/by/username/") {
                    return Some((Operation::GetUser, name));
                }
                if let Some(id) = one("tweets/") {
                    return Some((Operation::GetTweet, id));
                }
                let (id, list) = rest.strip_prefix("users/")?.split_once('/')?;
                let operation = match list {
                    "tweets" => Operation::GetUserTweets,
                    "mentions" => Operation::GetMentions,
                    "followers" => Operation::GetFollowers,
                    "following" => Operation::GetFollowing,
                    "timelines/reverse_chronological" => Operation::GetHome,
                    _ => return None,
                };
                post::is_id(id).then_some((operation, id))
            }
        },
        _ => None,
    }
}

/// The security that X's OpenAPI document gives each operation.
pub(super) fn accepted_callers(operation: Operation) -> &'static [Caller] {
    match operation {
        Operation::SearchTweets
        | Operation::GetUserTweets
        | Operation::GetUser
        | Operation::GetUsers
        | Operation::GetTweet
        | Operation::GetFollowers
        | Operation::GetFollowing
        | Operation::GetMentions => &[Caller::App, Caller::Oauth1User, Caller::Oauth2User],
        Operation::SearchArchive | Operation::ListWebhooks | Operation::ListSubscriptions | Operation::Unsubscribe => {
            &[Caller::App]
        }
        Operation::RegisterWebhook | Operation::ValidateWebhook | Operation::DeleteWebhook => {
            &[Caller::App, Caller::Oauth1User]
        }
        Operation::SendMessageV1
        | Operation::ListMessagesV1
        | Operation::GetMessageV1
        | Operation::DeleteMessageV1
        | Operation::IndicateTyping
        | Operation::MarkRead
        | Operation::DownloadSignedMedia => &[Caller::Oauth1User],
        Operation::DownloadMedia => &[Caller::Oauth2User],
        Operation::CountTweets => &[Caller::App, Caller::Oauth2User],
        Operation::GetMe
        | Operation::PostTweet
        | Operation::DeleteTweet
        | Operation::SearchUsers
        | Operation::GetHome
        | Operation::Retweet
        | Operation::UndoRetweet
        | Operation::InitializeUpload
        | Operation::AppendUpload
        | Operation::FinalizeUpload
        | Operation::GetUpload
        | Operation::DescribeMedia
        | Operation::SendMessage
        | Operation::BeginGroup
        | Operation::ListMessages
        | Operation::GetMessage
        | Operation::DeleteMessage
        | Operation::Subscribe
        | Operation::CheckSubscription => &[Caller::Oauth1User, Caller::Oauth2User],
    }
}

/// Requests per 15 minutes, of the app and of a user (X API documentation, "Rate limits", 2026).
pub(super) fn documented_limit(operation: Operation, is_app: bool) -> u32 {
    let (app, user) = match operation {
        Operation::SearchTweets => (450, 300),
        Operation::SearchArchive | Operation::CountTweets => (300, 300),
        Operation::GetUserTweets => (10_000, 900),
        Operation::GetUser | Operation::GetUsers | Operation::SearchUsers => (300, 900),
        Operation::GetMe => (75, 75),
        Operation::GetTweet => (450, 900),
        Operation::GetFollowers | Operation::GetFollowing => (300, 300),
        Operation::GetMentions => (450, 300),
        Operation::GetHome => (180, 180),
        Operation::PostTweet => (100, 100),
        Operation::DeleteTweet | Operation::Retweet | Operation::UndoRetweet => (50, 50),
        Operation::InitializeUpload
        | Operation::AppendUpload
        | Operation::FinalizeUpload
        | Operation::GetUpload
        | Operation::DescribeMedia => (1_875, 1_875),
        Operation::SendMessage
        | Operation::BeginGroup
        | Operation::SendMessageV1
        | Operation::DeleteMessageV1
        | Operation::IndicateTyping
        | Operation::MarkRead
        | Operation::ListMessages
        | Operation::GetMessage
        | Operation::DeleteMessage
        | Operation::DownloadMedia
        | Operation::DownloadSignedMedia => (300, 300),
        Operation::ListMessagesV1 | Operation::GetMessageV1 => (15, 15),
        Operation::ListWebhooks
        | Operation::RegisterWebhook
        | Operation::ValidateWebhook
        | Operation::DeleteWebhook
        | Operation::Subscribe
        | Operation::CheckSubscription
        | Operation::ListSubscriptions
        | Operation::Unsubscribe => (450, 450),
    };
    if is_app { app } else { user }
}
