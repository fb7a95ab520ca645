use std::thread;

use cupola_serving::ServeConfig;
use serde_json::json;

use crate::support::{Models, Network, config, record};

#[test]
fn requests_of_many_clients_form_batches() {
    let models = Models::fraud();
    let server = models.serve(ServeConfig { http_workers: Some(1), ..config() });
    let expected = models.score("fraud", 1, &(0..64).map(record).collect::<Vec<_>>());
    thread::scope(|scope| {
        for (i, expected) in expected.iter().enumerate() {
            let server = &server;
            scope.spawn(move || {
                (0..50).for_each(|_| assert_eq!(server.predict(record(i)).scores(), [*expected]));
            });
        }
    });
    let batches = server.metric("cupola_batch_rows_count", &["fraud"]).unwrap();
    assert_eq!(server.metric("cupola_batch_rows_sum", &["fraud"]), Some(3_200.0));
    assert!(batches < 3_200.0, "{batches} batches");
}

#[test]
fn threads_of_the_batcher_answer_when_nothing_may_run_inline() {
    let models = Models::fraud();
    let server = models.serve(ServeConfig { inline_us_max: 0, workers: 2, ..config() });
    let expected = models.score("fraud", 1, &(0..8).map(record).collect::<Vec<_>>());
    thread::scope(|scope| {
        for (i, expected) in expected.iter().enumerate() {
            let server = &server;
            scope.spawn(move || {
                (0..200).for_each(|_| assert_eq!(server.predict(record(i)).scores(), [*expected]));
            });
        }
    });
}

#[test]
fn overload_is_refused_at_once_and_the_rest_is_answered() {
    let models = Models::empty();
    let slow = Network { hidden: vec![1_024, 1_024], ..Network::default() };
    let version = models.register("fraud", &slow);
    models.alias("fraud", "champion", version);
    let limits = ServeConfig { queue_rows_max: 128, records_max: 64, inline_us_max: 0, ..config() };
    let server = models.serve(limits);
    let records: Vec<_> = (0..64).map(record).collect();
    let expected = models.score("fraud", 1, &records);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let (server, records, expected) = (&server, &records, &expected);
                scope.spawn(move || {
                    let replies = (0..20).map(|_| server.predict(json!({ "records": records })));
                    replies
                        .map(|reply| {
                            match reply.status {
                                200 => assert_eq!(&reply.scores(), expected),
                                _ => {
                                    assert_eq!(reply.error(), (429, "overloaded"));
                                    assert_eq!(reply.header("retry-after"), "1");
                                }
                            }
                            reply.status
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let count = |status| outcomes.iter().filter(|s| **s == status).count();
    assert!(count(200) > 0 && count(429) > 0, "{} answered, {} refused", count(200), count(429));
    let refused = server.metric("cupola_errors_total", &["code=\"overloaded\"", "status=\"429\""]);
    assert_eq!(refused, Some(count(429) as f64));
    assert_eq!(server.metric("cupola_queue_rows", &["fraud"]), Some(0.0));
    assert_eq!(server.metric("cupola_in_flight_requests", &[]), Some(0.0));
}
