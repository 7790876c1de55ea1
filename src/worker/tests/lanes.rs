//! Which runs may begin, where something happens while a claim is under way or another host has had the lane.

use crate::store::due::DueRun;
use crate::worker::lanes::{Bounds, Lanes};

const ONE: Bounds = Bounds { limit: 1 };

fn run(id: &str) -> DueRun {
    DueRun {
        id: id.to_owned(),
        definition: "d".to_owned(),
        has_begun: false,
        position: 0,
        due_at: 0,
        slot: None,
        item: "1".to_owned(),
        frames: None,
        created_at: 0,
        started_at: None,
        retry_of: None,
        is_repeat: false,
        root: None,
        epoch: 1,
        may_still_send: false,
        lapses: 0,
    }
}

#[test]
fn a_run_that_another_host_has_begun_keeps_its_slot_when_the_stale_claim_of_it_ends() {
    let mut lanes = Lanes::default();
    lanes.begin_claim("f", false);
    lanes.claim("f", vec![run("a"), run("b")], false, None);
    let (_, stale) = lanes.next(64, |_| ONE).unwrap();
    assert_eq!(stale.id, "a");
    // The lane went to another host, where `a` began and waits, and came back.
    lanes.hold("f", "a".to_owned(), None);
    lanes.finish("f", &stale, false, None);
    assert!(lanes.next(64, |_| ONE).is_none(), "two at once");
    lanes.keep_held("f", &[]);
    assert_eq!(lanes.next(64, |_| ONE).map(|(_, run)| run.id).as_deref(), Some("b"));
}

#[test]
fn a_begun_run_goes_on_before_those_that_were_claimed_earlier_begin() {
    let mut lanes = Lanes::default();
    lanes.begin_claim("f", false);
    lanes.claim("f", vec![run("a"), run("b")], true, None);
    lanes.begin_claim("f", false);
    let begun = |id: &str| DueRun { has_begun: true, ..run(id) };
    lanes.claim("f", vec![begun("x"), begun("y"), run("c")], false, None);
    let order: Vec<String> =
        std::iter::from_fn(|| lanes.next(64, |_| Bounds { limit: 16 })).map(|(_, run)| run.id).collect();
    assert_eq!(order, ["x", "y", "a", "b", "c"]);
}

#[test]
fn what_is_found_while_a_claim_is_under_way_is_claimed_after_it() {
    let mut lanes = Lanes::default();
    lanes.stir("f");
    assert_eq!(lanes.hungry(), [("f".to_owned(), 0)]);
    lanes.begin_claim("f", false);
    // The claim has read the store; now a poll commits what it found, and says so.
    lanes.stir("f");
    lanes.claim("f", Vec::new(), false, None);
    assert_eq!(lanes.hungry(), [("f".to_owned(), 0)], "nobody looks for it");
    lanes.begin_claim("f", false);
    lanes.claim("f", vec![run("a")], false, None);
    assert_eq!(lanes.hungry(), []);
}
