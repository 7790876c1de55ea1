//! How many closures a second the writer takes: printed, not judged. Run it in a release build with
//! `cargo test --release --lib throughput -- --ignored --nocapture`.

use std::time::Instant;

use super::super::params;
use super::{insert, open_host, place};

const CLOSURES: usize = 100_000;

#[test]
#[ignore = "takes seconds and asserts only that nothing was lost"]
fn closures_per_second() {
    for in_flight in [1, 16, 64, 256] {
        let closures = if in_flight == 1 { CLOSURES / 10 } else { CLOSURES };
        let (_directory, path) = place();
        let began = Instant::now();
        open_host(&path).close_blocking().unwrap();
        let made = began.elapsed();
        let store = open_host(&path);
        println!("made and closed in {made:?}, opened again in {:?}", began.elapsed() - made);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (began, cpu) = (Instant::now(), cpu_ticks());
        runtime.block_on(async {
            let tasks: Vec<_> = (0..in_flight)
                .map(|lane| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        for number in 0..closures / in_flight {
                            let id = format!("{lane:08}-{number:027}");
                            store
                                .transaction(move |sql| {
                                    insert(sql, &id)?;
                                    sql.execute("UPDATE notes SET size = size + 1 WHERE id = $1", params![id.as_str()])
                                })
                                .await
                                .unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        let (seconds, ticks) = (began.elapsed().as_secs_f64(), cpu_ticks() - cpu);
        let done = closures / in_flight * in_flight;
        assert_eq!(store.read_blocking(super::count), Ok(i64::try_from(done).unwrap()));
        println!(
            "{in_flight:>4} in flight: {:>7.0} closures/s of an INSERT and an UPDATE, {:.1} µs CPU each",
            done as f64 / seconds,
            ticks as f64 * 10_000.0 / done as f64
        );
    }
}

/// User and system time of this process in ticks of 10 ms (Linux; elsewhere 0).
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
