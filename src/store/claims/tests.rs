//! Several hosts on one database: who gets what, and what a host that was taken for dead can still do.

use std::sync::Arc;
use std::time::Duration;

use super::{GivenUp, Wanted};
use crate::store::checks::Check;
use crate::store::database::tests::server::{self, Database};
use crate::store::database::{HostRole, Options, open_postgres};
use crate::store::runs::{NewRun, State};
use crate::store::schema::MIGRATIONS;
use crate::store::settle::{Change, Settlement};
use crate::store::tokens::{Asked, Lease};
use crate::store::triggers::TriggerSync;
use crate::store::{Store, id};

const NOW: i64 = 1_790_000_000_000;
const LEASE_MS: i64 = 1_000;

fn host(database: &Database) -> Store {
    let role = HostRole { listen: "off".to_owned(), lease_ms: LEASE_MS };
    let options = Options { host: Some(role), ..Options::new(MIGRATIONS, NOW) };
    Store::new(open_postgres(&database.url(), &options).unwrap())
}

async fn add_runs(store: &Store, count: i64) {
    for position in 0..count {
        let run = NewRun {
            id: id::new(NOW),
            flow: "f".to_owned(),
            definition: "d".to_owned(),
            state: State::Queued,
            position,
            slot: None,
            walk: None,
            item_key: None,
            item: "1".to_owned(),
            repeats: None,
            error: None,
        };
        store.insert_run(run, NOW).await.unwrap();
    }
}

fn wanted(limit: u32) -> Wanted {
    Wanted { flow: "f".to_owned(), now_ms: NOW, limit, claimed: 0, busy: Vec::new(), is_lane: false }
}

fn ended(run: &str, epoch: i64) -> Arc<Settlement> {
    let change = Change::End { state: State::Succeeded, error: None };
    Arc::new(Settlement {
        run: run.to_owned(),
        epoch,
        steps: Vec::new(),
        made: Vec::new(),
        approvals: Default::default(),
        change,
        started_at: NOW,
        now_ms: NOW,
    })
}

// The host is not heard of any more, as the database has it.
fn silence(database: &Database, store: &Store) {
    let node = store.presence().unwrap().id();
    database.sql(&format!(
        "CREATE OR REPLACE FUNCTION silent() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN NEW.lease_until := 0; RETURN NEW; END $$; \
         CREATE OR REPLACE TRIGGER silent BEFORE UPDATE ON nodes FOR EACH ROW WHEN (NEW.id = '{node}') \
         EXECUTE FUNCTION silent(); UPDATE nodes SET lease_until = 0 WHERE id = '{node}'"
    ));
}

// Leases are not heeded while a database that has just been started may have kept hosts from renewing them.
async fn old_enough(database: &Database) {
    let young = "SELECT pg_postmaster_start_time() > now() - interval '2.1 seconds'";
    while database.sql(young) == "t" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_has_begun_is_claimed_before_the_backlog() {
    let database = server::database();
    let store = host(&database);
    add_runs(&store, 3).await;
    database.sql(&format!("UPDATE runs SET state = 'running', due_at = {} WHERE position = 2", NOW + 50));
    let early = store.claim_runs(wanted(1)).await.unwrap();
    assert_eq!(early.runs.iter().map(|run| run.position).collect::<Vec<_>>(), [0]);
    let due = store.claim_runs(Wanted { now_ms: NOW + 50, ..wanted(2) }).await.unwrap();
    assert_eq!(due.runs.iter().map(|run| (run.position, run.has_begun)).collect::<Vec<_>>(), [(2, true), (1, false)]);
}

#[tokio::test]
async fn every_run_is_claimed_by_one_host_and_settled_under_its_claim() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    add_runs(&one, 40).await;
    let (mine, theirs) = tokio::join!(one.claim_runs(wanted(25)), other.claim_runs(wanted(25)));
    let (mine, theirs) = (mine.unwrap().runs, theirs.unwrap().runs);
    assert_eq!(mine.len() + theirs.len(), 40);
    assert!(mine.iter().all(|run| theirs.iter().all(|their| their.id != run.id)));
    assert!(mine.is_sorted_by_key(|run| run.position));
    assert!(mine.iter().all(|run| run.epoch == 1 && !run.may_still_send));
    assert!(one.claim_runs(wanted(25)).await.unwrap().runs.is_empty(), "what this host has is not found again");
    let (given, kept) = mine.split_at(1);
    let runs = vec![(given[0].id.clone(), given[0].epoch), (theirs[0].id.clone(), theirs[0].epoch)];
    one.give_up(GivenUp { runs, ..GivenUp::default() }).await.unwrap();
    let again = other.claim_runs(wanted(25)).await.unwrap().runs;
    assert_eq!(again.iter().map(|run| (&run.id, run.epoch)).collect::<Vec<_>>(), [(&given[0].id, 2)]);
    assert!(!one.settle(ended(&given[0].id, 1)).await.unwrap());
    assert!(one.give_way(given[0].id.clone(), 1).await.unwrap());
    assert!(other.settle(ended(&given[0].id, 2)).await.unwrap());
    assert!(one.settle(ended(&kept[0].id, 1)).await.unwrap());
}

#[tokio::test]
async fn a_host_that_is_not_heard_of_is_replaced_and_settles_nothing_more() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    old_enough(&database).await;
    add_runs(&one, 3).await;
    let mine = one.claim_runs(wanted(10)).await.unwrap().runs;
    assert!(other.claim_runs(wanted(10)).await.unwrap().runs.is_empty());
    silence(&database, &one);
    let taken = other.claim_runs(wanted(10)).await.unwrap().runs;
    assert_eq!(taken.len(), 3);
    assert!(taken.iter().all(|run| run.epoch == 2 && run.may_still_send), "its session is still there");
    for run in &mine {
        assert!(!one.settle(ended(&run.id, run.epoch)).await.unwrap());
    }
    assert!(other.settle(ended(&taken[0].id, taken[0].epoch)).await.unwrap());
    assert_eq!(database.sql("SELECT string_agg(state, ',' ORDER BY position) FROM runs"), "succeeded,queued,queued");
}

#[tokio::test]
async fn a_host_that_ended_leaves_nothing_that_could_still_be_sent() {
    let database = server::database();
    let (one, other, killed) = (host(&database), host(&database), host(&database));
    old_enough(&database).await;
    add_runs(&one, 2).await;
    assert_eq!(one.claim_runs(wanted(1)).await.unwrap().runs.len(), 1);
    assert_eq!(killed.claim_runs(wanted(1)).await.unwrap().runs.len(), 1);
    one.close().await.unwrap();
    let taken = other.claim_runs(wanted(10)).await.unwrap().runs;
    assert_eq!(taken.iter().map(|run| (run.epoch, run.may_still_send)).collect::<Vec<_>>(), [(2, false)], "at once");
    // As a kill leaves it: no lease, and no session that holds the lock.
    silence(&database, &killed);
    let node = killed.presence().unwrap().id().to_owned();
    database.sql(&format!("UPDATE nodes SET session = 1 WHERE id = '{node}'"));
    let taken = other.claim_runs(wanted(10)).await.unwrap().runs;
    assert_eq!(taken.iter().map(|run| (run.epoch, run.may_still_send)).collect::<Vec<_>>(), [(2, false)]);
}

#[tokio::test]
async fn a_flow_whose_order_counts_is_one_hosts() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    old_enough(&database).await;
    add_runs(&one, 4).await;
    let lane = |limit| Wanted { is_lane: true, ..wanted(limit) };
    let first = one.claim_runs(lane(1)).await.unwrap();
    assert!(first.is_new_lane && first.runs.len() == 1);
    let others = other.claim_runs(lane(9)).await.unwrap();
    assert!(!others.is_new_lane && others.runs.is_empty());
    let more = one.claim_runs(lane(1)).await.unwrap();
    assert!(!more.is_new_lane && more.runs.len() == 1);
    silence(&database, &one);
    let others = other.claim_runs(lane(9)).await.unwrap();
    assert!(others.is_new_lane && others.runs.len() == 4);
    assert!(one.claim_runs(lane(9)).await.unwrap().runs.is_empty());
}

#[tokio::test]
async fn who_takes_a_flow_keeps_the_slot_of_what_was_about_to_send_its_first_request() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    old_enough(&database).await;
    add_runs(&one, 2).await;
    let lane = |limit| Wanted { is_lane: true, ..wanted(limit) };
    let mine = one.claim_runs(lane(1)).await.unwrap().runs.remove(0);
    let change = Change::Mark { frames: "{}".to_owned() };
    assert!(one.settle(Arc::new(Settlement { change, ..(*ended(&mine.id, mine.epoch)).clone() })).await.unwrap());
    silence(&database, &one);
    let taken = other.claim_runs(lane(9)).await.unwrap();
    assert!(taken.is_new_lane && taken.runs[0].id == mine.id && taken.runs[0].has_begun);
    assert_eq!(other.held_slots("f".to_owned()).await.unwrap(), [(mine.id, None)]);
}

#[tokio::test]
async fn what_the_store_refused_keeps_its_slot_where_it_left_a_mark() {
    let database = server::database();
    let store = host(&database);
    old_enough(&database).await;
    add_runs(&store, 2).await;
    let runs = store.claim_runs(wanted(2)).await.unwrap().runs;
    let change = Change::Mark { frames: "{}".to_owned() };
    let mark = Settlement { change, ..(*ended(&runs[0].id, runs[0].epoch)).clone() };
    assert!(store.settle(Arc::new(mark)).await.unwrap());
    let refused = runs.iter().map(|run| (run.id.clone(), run.epoch)).collect();
    store.give_up(GivenUp { refused, ..GivenUp::default() }).await.unwrap();
    assert_eq!(store.held_slots("f".to_owned()).await.unwrap(), [(runs[0].id.clone(), None)]);
    assert_eq!(store.claim_runs(wanted(9)).await.unwrap().runs.len(), 2, "both are free again");
}

fn trigger() -> TriggerSync {
    TriggerSync {
        flow: "f".to_owned(),
        was: None,
        definition: "d".to_owned(),
        source: "s".to_owned(),
        is_enabled: true,
        stopped: None,
        is_dated: true,
        first_due_at: Some(NOW),
        latest_due_at: Some(NOW + 3_600_000),
    }
}

#[tokio::test]
async fn a_flow_that_changes_hands_leaves_the_host_before_nothing_of_it() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    old_enough(&database).await;
    add_runs(&one, 4).await;
    let lane = |limit| Wanted { is_lane: true, ..wanted(limit) };
    let mine = one.claim_runs(lane(3)).await.unwrap().runs;
    database.sql(&format!(
        "INSERT INTO steps (run, key, attempt, scope, form, state, started_at) \
         VALUES ('{}', '0', 1, '', 'action', 'sending', 0)",
        mine[0].id
    ));
    silence(&database, &one);
    // It takes one for now; the rest of what the other had waits for its turn here.
    let first = other.claim_runs(lane(1)).await.unwrap();
    assert!(first.is_new_lane && first.runs[0].id == mine[0].id && first.runs[0].may_still_send);
    let node = one.presence().unwrap().id();
    database.sql("DROP TRIGGER silent ON nodes");
    while database.sql(&format!("SELECT lease_until > 0 FROM nodes WHERE id = '{node}'")) != "t" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for run in &mine {
        assert!(!one.settle(ended(&run.id, run.epoch)).await.unwrap(), "it is the other's, or nobody's");
    }
    assert!(one.claim_runs(lane(9)).await.unwrap().runs.is_empty());
    assert_eq!(other.claim_runs(lane(9)).await.unwrap().runs.len(), 3);
}

#[tokio::test]
async fn a_run_that_its_lanes_host_left_out_is_let_go_of_by_the_host_before() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    old_enough(&database).await;
    add_runs(&one, 1).await;
    let lane = |busy| Wanted { is_lane: true, busy, ..wanted(9) };
    let mine = one.claim_runs(lane(Vec::new())).await.unwrap().runs.remove(0);
    database.sql(&format!(
        "INSERT INTO steps (run, key, attempt, scope, form, state, started_at) \
         VALUES ('{}', '0', 1, '', 'action', 'sending', 0)",
        mine.id
    ));
    silence(&database, &one);
    // Its slot is taken there.
    let taken = other.claim_runs(lane(vec![String::new()])).await.unwrap();
    assert!(taken.is_new_lane && taken.runs.is_empty());
    let node = one.presence().unwrap().id();
    database.sql("DROP TRIGGER silent ON nodes");
    while database.sql(&format!("SELECT lease_until > 0 FROM nodes WHERE id = '{node}'")) != "t" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(other.claim_runs(lane(Vec::new())).await.unwrap().runs.is_empty(), "the one before may be sending");
    assert!(!one.settle(ended(&mine.id, mine.epoch)).await.unwrap());
    assert!(one.give_way(mine.id.clone(), mine.epoch).await.unwrap());
    assert_eq!(other.claim_runs(lane(Vec::new())).await.unwrap().runs.len(), 1);
}

#[tokio::test]
async fn a_run_that_another_host_has_is_not_ended_under_an_old_claim() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    add_runs(&one, 1).await;
    let run = one.claim_runs(wanted(1)).await.unwrap().runs.remove(0);
    one.give_up(GivenUp { runs: vec![(run.id.clone(), run.epoch)], ..GivenUp::default() }).await.unwrap();
    let theirs = other.claim_runs(wanted(1)).await.unwrap().runs.remove(0);
    assert!(!one.end_run(run.id.clone(), Some(run.epoch), State::Skipped, None, NOW).await.unwrap());
    assert!(other.end_run(run.id, Some(theirs.epoch), State::Skipped, None, NOW).await.unwrap());
}

#[tokio::test]
async fn a_token_is_renewed_by_one_host_whatever_their_clocks_say() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    let asked = |holder: &str| Asked {
        connection: "brand".to_owned(),
        scheme: "user".to_owned(),
        seen: 0,
        holder: holder.to_owned(),
        lease_ms: 60_000,
    };
    assert!(matches!(one.lease_token(asked("one"), NOW).await.unwrap(), Lease::Granted { .. }));
    let ahead = other.lease_token(asked("other"), NOW + 3_600_000).await.unwrap();
    assert!(matches!(ahead, Lease::Held { .. }), "{ahead:?}");
}

#[tokio::test]
async fn a_check_counts_once_whoever_did_it() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    one.sync_checks(vec![("brand".to_owned(), NOW + 60_000)], NOW).await.unwrap();
    let check = other.checks().await.unwrap().remove(0);
    let failed = Check { failures: check.failures + 1, due_at: NOW + 60_000, ..check.clone() };
    assert!(other.settle_check(check.due_at, failed.clone(), None).await.unwrap());
    assert!(!one.settle_check(check.due_at, failed, None).await.unwrap(), "it was stopped in the middle of it");
    assert_eq!(one.checks().await.unwrap()[0].failures, 1);
}

#[tokio::test]
async fn a_due_trigger_is_polled_by_one_host() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    let sync = trigger();
    let (first, second) =
        tokio::join!(one.sync_triggers(vec![sync.clone()], NOW), other.sync_triggers(vec![sync], NOW));
    first.and(second).unwrap();
    let (mine, theirs) = tokio::join!(one.claim_triggers(NOW, 5, Vec::new()), other.claim_triggers(NOW, 5, Vec::new()));
    let (mine, theirs) = (mine.unwrap(), theirs.unwrap());
    assert_eq!(mine.len() + theirs.len(), 1);
    let (store, row) = if let Some(row) = mine.first() { (&one, row) } else { (&other, &theirs[0]) };
    let stale = row.epoch - 1;
    store.postpone_trigger("f".to_owned(), stale, NOW + 1, NOW).await.unwrap();
    assert_eq!(store.trigger("f".to_owned()).await.unwrap().unwrap().due_at, Some(NOW), "a stale claim moves nothing");
    store.give_up(GivenUp { triggers: vec![("f".to_owned(), row.epoch)], ..GivenUp::default() }).await.unwrap();
    assert_eq!(other.claim_triggers(NOW, 5, Vec::new()).await.unwrap().len(), 1);
    assert!(one.claim_triggers(NOW, 5, Vec::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_trigger_that_a_host_has_and_does_not_poll_is_claimed_again_by_it() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    one.sync_triggers(vec![trigger()], NOW).await.unwrap();
    assert_eq!(one.claim_triggers(NOW, 5, Vec::new()).await.unwrap().len(), 1);
    assert!(one.claim_triggers(NOW, 5, vec!["f".to_owned()]).await.unwrap().is_empty(), "it is under way");
    assert!(other.claim_triggers(NOW, 5, Vec::new()).await.unwrap().is_empty());
    // The poll had ended here when the claim came; the one before it is given up too late.
    let again = one.claim_triggers(NOW, 5, Vec::new()).await.unwrap();
    assert_eq!(again.iter().map(|row| row.epoch).collect::<Vec<_>>(), [2]);
    one.give_up(GivenUp { triggers: vec![("f".to_owned(), 1)], ..GivenUp::default() }).await.unwrap();
    assert!(other.claim_triggers(NOW, 5, Vec::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_one_host_queues_the_others_hear_of() {
    let database = server::database();
    let (one, other) = (host(&database), host(&database));
    let presence = Arc::clone(other.presence().unwrap());
    let heard = tokio::spawn(async move { tokio::time::timeout(Duration::from_secs(20), presence.heard()).await });
    add_runs(&one, 1).await;
    assert!(heard.await.unwrap().is_ok());
    assert!(one.presence().unwrap().is_valid() && other.presence().unwrap().nodes() == 2);
}
