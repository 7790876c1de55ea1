//! X's tweets and users, sorted by id so that a page is a range and never a scan. Ids are snowflakes made
//! from the tweet's time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use super::attached::Attached;
use super::text::{self, Entity};
use crate::sandbox::{X_USER_ID, X_USERNAME};

/// Where snowflake time begins: 2010-11-04T01:42:54.657Z.
pub(super) const EPOCH_MS: i64 = 1_288_834_974_657;

/// Below the time: 10 bits of machine and 12 of sequence at X, one sequence of 22 bits here.
const SEQUENCE_BITS: u32 = 22;

/// A tweet as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Tweet {
    pub id: u64,
    pub author_id: u64,
    /// Lower case, for `from:`.
    pub author_username: String,
    /// As it is answered: links shortened, `& < >` escaped.
    pub text: String,
    /// As it was written, in lower case, for searching.
    pub lower: String,
    pub entities: Vec<Entity>,
    pub lang: String,
    pub created_ms: i64,
    pub conversation_id: u64,
    pub reply_to: Option<u64>,
    pub reply_to_user: Option<u64>,
    pub reply_to_username: Option<String>,
    pub quote_of: Option<u64>,
    pub retweet_of: Option<u64>,
    pub retweet_of_username: Option<String>,
    pub media: Vec<Attached>,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub id: u64,
    pub username: String,
    pub name: String,
    pub created_ms: i64,
    /// Lookups and expansions do not find it, although its tweets are there.
    pub hidden: bool,
}

/// A tweet that is about to be made.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub author_id: u64,
    pub text: &'a str,
    pub lang: &'a str,
    pub at_ms: i64,
    pub reply_to: Option<u64>,
    pub quote_of: Option<u64>,
    pub retweet_of: Option<u64>,
    pub media: Vec<Attached>,
}

pub(super) struct Store {
    tweets: BTreeMap<u64, Arc<Tweet>>,
    by_author: HashMap<u64, BTreeSet<u64>>,
    users: BTreeMap<u64, User>,
    /// User ids by lower-case username.
    usernames: HashMap<String, u64>,
    /// When each text was last posted, by the hash of author, text and target.
    posted: HashMap<u64, i64>,
    /// Follower and followed, by the number of the follow.
    follows: BTreeMap<u64, (u64, u64)>,
    /// Ids are not given twice.
    deleted: HashSet<u64>,
}

/// The smallest id of that time: what lies before it has a smaller one.
pub(super) fn id_at(epoch_ms: i64) -> u64 {
    u64::try_from(epoch_ms - EPOCH_MS).unwrap_or(0) << SEQUENCE_BITS
}

/// The id of the account that the user credentials belong to.
pub(super) fn own_id() -> u64 {
    X_USER_ID.parse().unwrap_or_default()
}

impl Store {
    pub fn new() -> Self {
        let mut store = Store {
            tweets: BTreeMap::new(),
            by_author: HashMap::new(),
            users: BTreeMap::new(),
            usernames: HashMap::new(),
            posted: HashMap::new(),
            follows: BTreeMap::new(),
            deleted: HashSet::new(),
        };
        store.insert_user(User {
            id: own_id(),
            username: X_USERNAME.into(),
            name: "Tidegate Demo".into(),
            created_ms: 1_577_836_800_000,
            hidden: false,
        });
        store
    }

    /// The id of the user of that name, who is made when there is none.
    pub fn ensure_user(&mut self, username: &str) -> u64 {
        if let Some(&id) = self.usernames.get(&username.to_lowercase()) {
            return id;
        }
        let number = self.users.len() as u64;
        let id = own_id() + number;
        let created_ms = 1_577_836_800_000 + number as i64 * 1_000;
        self.insert_user(User {
            id,
            username: username.into(),
            name: display_name(username),
            created_ms,
            hidden: false,
        });
        id
    }

    /// Makes one user follow another, once.
    pub fn follow(&mut self, follower: &str, followed: &str) {
        let pair = (self.ensure_user(follower), self.ensure_user(followed));
        if pair.0 != pair.1 && !self.follows.values().any(|known| *known == pair) {
            let number = self.follows.last_key_value().map_or(1, |(number, _)| number + 1);
            self.follows.insert(number, pair);
        }
    }

    /// Who follows a user, or whom it follows where `following`: the newest first, each with the number of its
    /// follow, those from `before` on left out.
    pub fn follows(&self, user: u64, following: bool, before: u64) -> impl Iterator<Item = (u64, u64)> {
        self.follows.range(..before).rev().filter_map(move |(number, (follower, followed))| {
            let (of, other) = if following { (follower, followed) } else { (followed, follower) };
            (*of == user).then_some((*number, *other))
        })
    }

    /// Users with a larger id, in the order of their ids.
    pub fn users_after(&self, id: u64) -> impl Iterator<Item = &User> {
        self.users.range((Bound::Excluded(id), Bound::Unbounded)).map(|(_, user)| user).filter(|user| !user.hidden)
    }

    pub fn set_hidden(&mut self, username: &str, hidden: bool) -> bool {
        let id = self.usernames.get(&username.to_lowercase());
        match id.and_then(|id| self.users.get_mut(id)) {
            Some(user) => {
                user.hidden = hidden;
                true
            }
            None => false,
        }
    }

    pub fn insert(&mut self, draft: &Draft<'_>) -> Arc<Tweet> {
        let id = self.free_id(draft.at_ms);
        let stored = text::store(draft.text);
        let replied = draft.reply_to.and_then(|id| self.tweets.get(&id)).cloned();
        let retweeted = draft.retweet_of.and_then(|id| self.tweets.get(&id)).cloned();
        let author_username = self.users.get(&draft.author_id).map(|user| user.username.to_lowercase());
        let tweet = Arc::new(Tweet {
            id,
            author_id: draft.author_id,
            author_username: author_username.unwrap_or_default(),
            text: stored.text,
            lower: draft.text.to_lowercase(),
            entities: stored.entities,
            lang: if draft.lang.is_empty() { "und".into() } else { draft.lang.into() },
            created_ms: draft.at_ms,
            conversation_id: replied.as_ref().map_or(id, |replied| replied.conversation_id),
            reply_to: draft.reply_to,
            reply_to_user: replied.as_ref().map(|replied| replied.author_id),
            reply_to_username: replied.map(|replied| replied.author_username.clone()),
            quote_of: draft.quote_of,
            retweet_of: draft.retweet_of,
            retweet_of_username: retweeted.map(|retweeted| retweeted.author_username.clone()),
            media: draft.media.clone(),
        });
        self.tweets.insert(id, tweet.clone());
        self.by_author.entry(draft.author_id).or_default().insert(id);
        tweet
    }

    pub fn remove(&mut self, id: u64) -> bool {
        let Some(tweet) = self.tweets.remove(&id) else {
            return false;
        };
        if let Some(ids) = self.by_author.get_mut(&tweet.author_id) {
            ids.remove(&id);
        }
        self.deleted.insert(id);
        true
    }

    /// Whether the author posted this text within `window_ms`; notes it when not.
    pub fn note_post(&mut self, draft: &Draft<'_>, window_ms: i64) -> bool {
        let mut hasher = DefaultHasher::new();
        (draft.author_id, draft.text.trim(), draft.reply_to, draft.quote_of).hash(&mut hasher);
        let key = hasher.finish();
        let now_ms = draft.at_ms;
        if self.posted.get(&key).is_some_and(|&posted_ms| now_ms - posted_ms < window_ms) {
            return true;
        }
        if self.posted.len() >= 1 << 20 {
            self.posted.retain(|_, posted_ms| now_ms - *posted_ms < window_ms);
        }
        self.posted.insert(key, now_ms);
        false
    }

    pub fn tweet(&self, id: u64) -> Option<&Arc<Tweet>> {
        self.tweets.get(&id)
    }

    pub fn user(&self, id: u64) -> Option<&User> {
        self.users.get(&id).filter(|user| !user.hidden)
    }

    pub fn user_named(&self, username: &str) -> Option<&User> {
        self.user(*self.usernames.get(&username.to_lowercase())?)
    }

    pub fn tweet_count(&self, author_id: u64) -> usize {
        self.by_author.get(&author_id).map_or(0, BTreeSet::len)
    }

    /// Tweets with an id between the two (both excluded), newest first.
    pub fn between(&self, after: u64, before: u64) -> impl Iterator<Item = &Arc<Tweet>> {
        open_range(after, before).into_iter().flat_map(|range| self.tweets.range(range).rev()).map(|(_, tweet)| tweet)
    }

    /// The same of one author.
    pub fn between_of(&self, author_id: u64, after: u64, before: u64) -> impl Iterator<Item = &Arc<Tweet>> {
        let ids = self.by_author.get(&author_id);
        let range = open_range(after, before);
        ids.zip(range).into_iter().flat_map(|(ids, range)| ids.range(range).rev()).filter_map(|id| self.tweets.get(id))
    }

    fn insert_user(&mut self, user: User) {
        self.usernames.insert(user.username.to_lowercase(), user.id);
        self.users.insert(user.id, user);
    }

    /// The next id of that millisecond. Never the very first, which a cursor made from a time would exclude.
    fn free_id(&self, at_ms: i64) -> u64 {
        let first = id_at(at_ms);
        let last = first + (1 << SEQUENCE_BITS) - 1;
        let mut id = self.tweets.range(first..=last).next_back().map_or(first, |(&id, _)| id) + 1;
        while self.deleted.contains(&id) {
            id += 1;
        }
        id
    }
}

/// A map's range panics when it is upside down, so an empty window has none.
fn open_range(after: u64, before: u64) -> Option<(Bound<u64>, Bound<u64>)> {
    (after < before).then_some((Bound::Excluded(after), Bound::Excluded(before)))
}

fn display_name(username: &str) -> String {
    let mut characters = username.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A tweet of its own, at a fixed time.
    pub fn tweet(author: &str, lang: &str, text: &str) -> Tweet {
        let mut store = Store::new();
        let author_id = store.ensure_user(author);
        let draft = Draft { author_id, text, lang, at_ms: 1_790_000_000_000, ..Draft::default() };
        Tweet::clone(&store.insert(&draft))
    }

    #[test]
    fn ids_tell_the_time_and_are_never_given_twice() {
        // An id and its minute from the documented stale-cursor answer.
        assert_eq!(id_at(1_785_498_350_444), 2_083_157_183_716_917_248);
        let mut store = Store::new();
        let author_id = store.ensure_user("alice");
        let draft = |at_ms| Draft { author_id, text: "x", at_ms, ..Draft::default() };
        let later = store.insert(&draft(EPOCH_MS + 2_000)).id;
        let first = store.insert(&draft(EPOCH_MS + 1_000)).id;
        let second = store.insert(&draft(EPOCH_MS + 1_000)).id;
        assert_eq!([first, second, later], [(1_000 << 22) + 1, (1_000 << 22) + 2, (2_000 << 22) + 1]);
        assert!(store.remove(second));
        assert_eq!(store.insert(&draft(EPOCH_MS + 1_000)).id, (1_000 << 22) + 3);
    }

    #[test]
    fn a_window_excludes_both_ends_and_may_be_empty() {
        let mut store = Store::new();
        let author_id = store.ensure_user("alice");
        let ids: Vec<u64> = (1..=4)
            .map(|second| store.insert(&Draft { author_id, at_ms: EPOCH_MS + second * 1_000, ..Draft::default() }).id)
            .collect();
        let between = |after, before| store.between(after, before).map(|tweet| tweet.id).collect::<Vec<_>>();
        assert_eq!(between(ids[0], ids[3]), [ids[2], ids[1]]);
        assert_eq!(between(ids[3], u64::MAX), Vec::<u64>::new());
        assert_eq!(between(ids[3], ids[0]), Vec::<u64>::new());
        assert_eq!(store.between_of(author_id, 0, ids[2]).count(), 2);
        assert_eq!(store.between_of(9, 0, ids[2]).count(), 0);
    }
}
