use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

/// Answers each job with its own number plus the number of jobs in its batch, and remembers the
/// batches.
#[derive(Default)]
struct Echo {
    batches: Mutex<Vec<Vec<(usize, Weight)>>>,
}

struct EchoJob {
    number: usize,
    reply: Sender<usize>,
}

impl BatchWork for Echo {
    type Job = EchoJob;

    fn run(&self, batch: &mut Vec<Queued<EchoJob>>) {
        self.batches.lock().unwrap().push(batch.iter().map(|q| (q.job.number, q.weight)).collect());
        for queued in batch.drain(..) {
            assert_ne!(queued.job.number, 13, "the unlucky one");
            queued.job.reply.send(queued.job.number).unwrap();
        }
    }
}

fn limits() -> BatchLimits {
    BatchLimits { rows: 10, bytes: 1_000, waiting_rows: 20, inline_us: 0 }
}

fn job(number: usize) -> (EchoJob, Receiver<usize>) {
    let (reply, answer) = channel();
    (EchoJob { number, reply }, answer)
}

fn rows(rows: usize) -> Weight {
    Weight { rows, bytes: 8 * rows }
}

fn admit(batcher: &Batcher<Echo>, number: usize, weight: Weight) -> (Queued<EchoJob>, Receiver<usize>) {
    let (job, answer) = job(number);
    (batcher.admit(job, weight).unwrap(), answer)
}

#[test]
fn what_waits_together_is_one_batch() {
    let batcher = Batcher::start(Echo::default(), limits(), 0, "t").unwrap();
    let answers: Vec<_> = (0..4)
        .map(|i| {
            let (queued, answer) = admit(&batcher, i, rows(2));
            batcher.enqueue(queued);
            answer
        })
        .collect();
    assert_eq!(batcher.waiting_rows(), 8);
    assert!(batcher.run_next() && !batcher.run_next());
    assert_eq!(batcher.waiting_rows(), 0);
    assert_eq!(answers.iter().map(|a| a.recv().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(batcher.work().batches.lock().unwrap().len(), 1);
}

#[test]
fn a_full_queue_refuses_and_a_dropped_job_gives_its_place_back() {
    let batcher = Batcher::start(Echo::default(), limits(), 0, "t").unwrap();
    let (held, _answer) = admit(&batcher, 0, rows(15));
    let refused = batcher.admit(job(1).0, rows(6)).err();
    assert_eq!(refused, Some(Overloaded { waiting_rows_max: 20 }));
    assert_eq!(batcher.waiting_rows(), 15, "a refused job takes no place");
    drop(held);
    assert!(batcher.admit(job(1).0, rows(6)).is_ok());
}

#[test]
fn a_panic_costs_its_batch_and_not_the_thread() {
    let batcher = Batcher::start(Echo::default(), limits(), 1, "t").unwrap();
    let (queued, answer) = admit(&batcher, 13, rows(1));
    batcher.enqueue(queued);
    assert!(answer.recv().is_err());
    let (queued, answer) = admit(&batcher, 14, rows(1));
    batcher.enqueue(queued);
    assert_eq!(answer.recv(), Ok(14));
}

#[test]
fn dropping_the_batcher_answers_what_waits() {
    let batcher = Batcher::start(Echo::default(), limits(), 1, "t").unwrap();
    let answers: Vec<_> = (20..40)
        .map(|i| {
            let (queued, answer) = admit(&batcher, i, Weight::default());
            batcher.enqueue(queued);
            answer
        })
        .collect();
    drop(batcher);
    assert!(answers.iter().zip(20..).all(|(answer, i)| answer.recv() == Ok(i)));
}

#[test]
fn a_round_of_an_event_loop_is_one_batch_per_batcher() {
    let limits = BatchLimits { inline_us: 1_000_000, ..limits() };
    let a = Arc::new(Batcher::start(Echo::default(), limits, 0, "a").unwrap());
    let b = Arc::new(Batcher::start(Echo::default(), limits, 0, "b").unwrap());
    let lane = Lane::default();
    let mut flushes = 0;
    let mut answers = Vec::new();
    for (i, batcher) in [(0, &a), (1, &b), (2, &a)] {
        let (queued, answer) = admit(batcher, i, rows(1));
        flushes += usize::from(lane.submit(batcher, queued));
        answers.push(answer);
    }
    assert_eq!(flushes, 1, "one flush for the whole round");
    lane.flush();
    assert!(answers.iter().zip(0..).all(|(answer, i)| answer.try_recv() == Ok(i)));
    let numbers = |batcher: &Batcher<Echo>| {
        let batches = batcher.work().batches.lock().unwrap();
        batches.iter().map(|b| b.iter().map(|(n, _)| *n).collect()).collect::<Vec<Vec<_>>>()
    };
    assert_eq!((numbers(&a), numbers(&b)), (vec![vec![0, 2]], vec![vec![1]]));
}

#[test]
fn a_short_batch_runs_at_once_unless_others_wait_before_it() {
    let limits = BatchLimits { inline_us: 1_000_000, ..limits() };
    let batcher = Batcher::start(Echo::default(), limits, 0, "t").unwrap();
    let (first, first_answer) = admit(&batcher, 1, rows(1));
    batcher.dispatch(&mut VecDeque::from([first]));
    assert_eq!(first_answer.try_recv(), Ok(1));
    let (waiting, waiting_answer) = admit(&batcher, 2, rows(1));
    batcher.enqueue(waiting);
    let (late, late_answer) = admit(&batcher, 3, rows(1));
    batcher.dispatch(&mut VecDeque::from([late]));
    assert!(late_answer.try_recv().is_err());
    assert!(batcher.run_next());
    assert_eq!((waiting_answer.try_recv(), late_answer.try_recv()), (Ok(2), Ok(3)));
}

proptest! {
    #[test]
    fn batches_keep_order_and_limits_and_lose_nothing(
        jobs in prop::collection::vec((0usize..15, 0usize..1_500), 0..60),
        enqueue_sizes in prop::collection::vec(1usize..9, 1..20),
        inline in any::<bool>(),
    ) {
        let limits = BatchLimits {
            waiting_rows: usize::MAX,
            inline_us: if inline { 1_000_000 } else { 0 },
            ..limits()
        };
        let batcher = Batcher::start(Echo::default(), limits, 0, "t").unwrap();
        let mut answers = Vec::new();
        let mut todo: VecDeque<_> = jobs.iter().enumerate().map(|(i, &(rows, bytes))| {
            // 13 is the number that panics.
            let (queued, answer) = admit(&batcher, i + 100, Weight { rows, bytes });
            answers.push(answer);
            queued
        }).collect();
        for n in enqueue_sizes.iter().cycle() {
            if todo.is_empty() {
                break;
            }
            let mut round = todo.split_off(0);
            todo = round.split_off((*n).min(round.len()));
            batcher.dispatch(&mut round);
            if n % 2 == 0 {
                batcher.run_next();
            }
        }
        while batcher.run_next() {}
        for (i, answer) in answers.iter().enumerate() {
            prop_assert_eq!(answer.try_recv(), Ok(i + 100));
        }
        prop_assert_eq!(batcher.waiting_rows(), 0);
        let batches = batcher.work().batches.lock().unwrap();
        let order: Vec<usize> = batches.iter().flatten().map(|(number, _)| *number).collect();
        prop_assert_eq!(order, (100..100 + jobs.len()).collect::<Vec<_>>());
        for batch in batches.iter().filter(|b| b.len() > 1) {
            prop_assert!(batch.iter().map(|(_, w)| w.rows).sum::<usize>() <= limits.rows);
            prop_assert!(batch.iter().map(|(_, w)| w.bytes).sum::<usize>() <= limits.bytes);
        }
    }
}
