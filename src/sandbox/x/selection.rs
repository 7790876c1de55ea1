//! Which fields and expansions a call to X asks for. Reads the names of before and after version 2.167 of X's
//! document; inside, everything has its old name.

use std::collections::BTreeSet;

use super::attached::MEDIA_FIELDS;
use super::problems;
use crate::sandbox::exchange::{Answer, Parameters};

const TWEET_FIELDS: &str = "article attachments author_id card_uri community_id context_annotations conversation_id \
    created_at display_text_range edit_controls edit_history_tweet_ids entities geo id \
    in_reply_to_user_id lang matched_media_notes media_metadata non_public_metrics \
    note_request_suggestions note_tweet organic_metrics paid_partnership possibly_sensitive \
    promoted_metrics public_metrics referenced_tweets reply_settings scopes source \
    suggested_source_links suggested_source_links_with_counts text withheld";

const USER_FIELDS: &str = "affiliation confirmed_email connection_status created_at description entities id \
    is_identity_verified location most_recent_tweet_id name parody pinned_tweet_id \
    profile_banner_url profile_image_url protected public_metrics receives_your_dm \
    subscription subscription_type url username verified verified_followers_count \
    verified_type withheld";

/// Expansions of tweets.
pub(super) const TWEET_EXPANSIONS: &str = "article.cover_media article.media_entities attachments.media_keys \
    attachments.media_source_tweet attachments.poll_ids author_id edit_history_tweet_ids \
    entities.mentions.username geo.place_id in_reply_to_user_id \
    entities.note.mentions.username referenced_tweets.id \
    referenced_tweets.id.attachments.media_keys referenced_tweets.id.author_id";

/// Expansions of users.
pub(super) const USER_EXPANSIONS: &str = "affiliation.user_id most_recent_tweet_id pinned_tweet_id";

/// What version 2.167 calls some fields, expansions and metrics.
const RENAMED: &[(&str, &str)] = &[
    ("edit_history_post_ids", "edit_history_tweet_ids"),
    ("note_post", "note_tweet"),
    ("referenced_posts", "referenced_tweets"),
    ("most_recent_post_id", "most_recent_tweet_id"),
    ("pinned_post_id", "pinned_tweet_id"),
    ("post_count", "tweet_count"),
    ("repost_count", "retweet_count"),
];

/// Which fields and expansions a call wants.
pub(super) struct Selection {
    pub tweet: BTreeSet<&'static str>,
    pub user: BTreeSet<&'static str>,
    pub media: BTreeSet<&'static str>,
    pub expansions: BTreeSet<&'static str>,
    /// Whether the names of version 2.167 were used to ask.
    pub new_names: bool,
}

impl Selection {
    pub fn read(parameters: &Parameters<'_>, expansions: &'static str) -> Result<Selection, Answer> {
        let mut new_names = parameters.get("post.fields").is_some();
        let old = read_list(parameters, "tweet.fields", TWEET_FIELDS, &mut new_names)?;
        let mut tweet = read_list(parameters, "post.fields", TWEET_FIELDS, &mut new_names)?;
        tweet.extend(old);
        let user = read_list(parameters, "user.fields", USER_FIELDS, &mut new_names)?;
        let media = read_list(parameters, "media.fields", MEDIA_FIELDS, &mut new_names)?;
        let expansions = read_list(parameters, "expansions", expansions, &mut new_names)?;
        // What is expanded is shown in the tweet as well.
        for (expansion, field) in [
            ("attachments.media_keys", "attachments"),
            ("referenced_tweets.id.attachments.media_keys", "referenced_tweets"),
            ("author_id", "author_id"),
            ("referenced_tweets.id", "referenced_tweets"),
            ("referenced_tweets.id.author_id", "referenced_tweets"),
            ("in_reply_to_user_id", "in_reply_to_user_id"),
            ("entities.mentions.username", "entities"),
        ] {
            if expansions.contains(expansion) {
                tweet.insert(field);
            }
        }
        Ok(Selection { tweet, user, media, expansions, new_names })
    }

    /// The name that answers use for what the old documents call `old`.
    pub fn name<'a>(&self, old: &'a str) -> &'a str {
        let renamed = RENAMED.iter().find(|(_, name)| self.new_names && *name == old);
        renamed.map_or(old, |(new, _)| new)
    }
}

fn read_list(
    parameters: &Parameters<'_>,
    name: &'static str,
    allowed: &'static str,
    new_names: &mut bool,
) -> Result<BTreeSet<&'static str>, Answer> {
    let mut fields = BTreeSet::new();
    let Some(list) = parameters.get(name) else {
        return Ok(fields);
    };
    for given in list.split(',') {
        let renamed = RENAMED.iter().find(|(new, _)| *new == given).map(|(_, old)| *old);
        *new_names |= renamed.is_some();
        // The expansion of `referenced_posts` is `referenced_tweets.id` in the old names.
        let wanted = match renamed {
            Some("referenced_tweets") if name == "expansions" => "referenced_tweets.id",
            Some(old) => old,
            None => given,
        };
        match allowed.split(' ').find(|field| *field == wanted) {
            Some(field) => fields.insert(field),
            None => {
                let all = allowed.replace(' ', ",");
                let message = format!("The `{name}` query parameter value [{given}] is not one of [{all}]");
                return Err(problems::invalid(name, &[list], &message));
            }
        };
    }
    Ok(fields)
}
