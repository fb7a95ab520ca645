use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Normal, Poisson};

/// Size and seed of a card-fraud sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CardFraudConfig {
    /// Transactions to make.
    pub rows: usize,
    /// Seed; the same seed makes the same transactions.
    pub seed: u64,
    /// Card holders.
    pub customers: usize,
    /// Payment terminals.
    pub terminals: usize,
    /// Furthest terminal that a customer uses, in a country of 100 x 100.
    pub radius: f64,
}

impl Default for CardFraudConfig {
    fn default() -> Self {
        Self { rows: 200_000, seed: 7, customers: 2_000, terminals: 4_000, radius: 8.0 }
    }
}

/// One transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// Unique, ascending with time.
    pub transaction_id: i64,
    /// Seconds since 1970 in UTC.
    pub seconds: i64,
    /// Card holder.
    pub customer_id: usize,
    /// Terminal.
    pub terminal_id: usize,
    /// Amount paid.
    pub amount: f64,
    /// `chip`, `contactless` or `online`.
    pub channel: &'static str,
    /// Distance between the customer's home and the terminal.
    pub distance: f64,
    /// Age of the card holder's account, in days.
    pub account_days: i64,
    /// The label.
    pub is_fraud: bool,
}

/// Card transactions in the manner of the Fraud Detection Handbook's simulator (Le Borgne et al.,
/// 2022, chapter 3): customers use the terminals around their home, and three kinds of fraud unfold
/// over time. 1: any amount above 220 is fraud. 2: every day two terminals are compromised for 28
/// days, and all their transactions are fraud. 3: every day the credentials of three customers leak
/// for 14 days, and a third of their transactions, at five times the amount and mostly online, are
/// fraud. Days follow one another; a day's transactions are in the order of time.
pub struct CardFraud {
    rng: StdRng,
    rows: usize,
    customers: Vec<Customer>,
    /// Day before which each terminal is compromised.
    terminals: Vec<i64>,
    day: i64,
    made: i64,
    today: std::vec::IntoIter<Transaction>,
}

struct Customer {
    amount_mean: f64,
    per_day: f64,
    account_days: i64,
    /// Terminals in reach with their distance.
    terminals: Vec<(usize, f64)>,
    /// Day before which the credentials are in the hands of others.
    leaked_until: i64,
}

const START: i64 = 1_704_067_200; // 2024-01-01
const DAY: i64 = 86_400;
const COMPROMISED_PER_DAY: usize = 2;
const COMPROMISED_DAYS: i64 = 28;
const LEAKED_PER_DAY: usize = 3;
const LEAKED_DAYS: i64 = 14;
const LARGE_AMOUNT: f64 = 220.0;

impl CardFraud {
    /// A generator; no transaction is made before it is asked for.
    pub fn new(config: &CardFraudConfig) -> Self {
        let mut rng = StdRng::seed_from_u64(config.seed);
        let places: Vec<[f64; 2]> = (0..config.terminals.max(1)).map(|_| place(&mut rng)).collect();
        let customers =
            (0..config.customers.max(1)).map(|_| Customer::new(&mut rng, &places, config.radius)).collect();
        Self {
            rng,
            rows: config.rows,
            customers,
            terminals: vec![0; places.len()],
            day: 0,
            made: 0,
            today: Vec::new().into_iter(),
        }
    }

    fn next_day(&mut self) -> Vec<Transaction> {
        for _ in 0..COMPROMISED_PER_DAY {
            let terminal = self.rng.random_range(0..self.terminals.len());
            self.terminals[terminal] = self.day + COMPROMISED_DAYS;
        }
        for _ in 0..LEAKED_PER_DAY {
            let customer = self.rng.random_range(0..self.customers.len());
            self.customers[customer].leaked_until = self.day + LEAKED_DAYS;
        }
        let mut today = Vec::new();
        for id in 0..self.customers.len() {
            let per_day = self.customers[id].per_day;
            let n = Poisson::new(per_day).map_or(0.0, |counts| counts.sample(&mut self.rng)) as usize;
            today.extend((0..n).filter_map(|_| self.transaction(id)));
        }
        self.day += 1;
        today.sort_by_key(|transaction| transaction.seconds);
        today
    }

    fn transaction(&mut self, id: usize) -> Option<Transaction> {
        let customer = &self.customers[id];
        let rng = &mut self.rng;
        // Around noon; the few that fall outside of the day are left out.
        let second = normal(rng, f64::from(DAY as i32) / 2.0, 20_000.0);
        if !(0.0..DAY as f64).contains(&second) {
            return None;
        }
        let mean = customer.amount_mean;
        let mut amount = normal(rng, mean, mean / 2.0);
        if amount <= 0.0 {
            amount = rng.random_range(0.0..2.0 * mean);
        }
        let (terminal_id, distance) = customer.terminals[rng.random_range(0..customer.terminals.len())];
        let mut channel = ["chip", "chip", "contactless", "contactless", "online"][rng.random_range(0..5)];
        let mut is_fraud = self.terminals[terminal_id] > self.day;
        if customer.leaked_until > self.day && rng.random_range(0..3) == 0 {
            amount *= 5.0;
            is_fraud = true;
            if rng.random_bool(0.8) {
                channel = "online";
            }
        }
        let amount = (amount * 100.0).round() / 100.0;
        Some(Transaction {
            transaction_id: 0,
            seconds: START + self.day * DAY + second as i64,
            customer_id: id,
            terminal_id,
            amount,
            channel,
            distance: (distance * 1_000.0).round() / 1_000.0,
            account_days: customer.account_days + self.day,
            is_fraud: is_fraud || amount > LARGE_AMOUNT,
        })
    }
}

impl Customer {
    fn new(rng: &mut StdRng, places: &[[f64; 2]], radius: f64) -> Self {
        let home = place(rng);
        let distance = |at: &[f64; 2]| (at[0] - home[0]).hypot(at[1] - home[1]);
        let mut terminals: Vec<(usize, f64)> =
            places.iter().map(distance).enumerate().filter(|(_, distance)| *distance < radius).collect();
        // Nobody lives too far from everything to pay at all.
        if terminals.is_empty() {
            let nearest = places.iter().map(distance).enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
            terminals.extend(nearest);
        }
        Self {
            amount_mean: rng.random_range(5.0..100.0),
            per_day: rng.random_range(0.1..4.0),
            account_days: rng.random_range(30..3_000),
            terminals,
            leaked_until: 0,
        }
    }
}

impl Iterator for CardFraud {
    type Item = Transaction;

    fn next(&mut self) -> Option<Transaction> {
        if self.made as usize >= self.rows {
            return None;
        }
        loop {
            if let Some(mut transaction) = self.today.next() {
                transaction.transaction_id = self.made;
                self.made += 1;
                return Some(transaction);
            }
            self.today = self.next_day().into_iter();
        }
    }
}

fn place(rng: &mut StdRng) -> [f64; 2] {
    [rng.random_range(0.0..100.0), rng.random_range(0.0..100.0)]
}

fn normal(rng: &mut impl Rng, mean: f64, sd: f64) -> f64 {
    Normal::new(mean, sd).map_or(mean, |distribution| distribution.sample(rng))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn rows(config: &CardFraudConfig) -> Vec<Transaction> {
        CardFraud::new(config).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_transactions() {
        let config = CardFraudConfig { rows: 5_000, ..Default::default() };
        let first = rows(&config);
        assert_eq!(first, rows(&config));
        assert_ne!(first, rows(&CardFraudConfig { seed: 8, ..config }));
        // A larger sample begins with the smaller one.
        assert_eq!(first, rows(&CardFraudConfig { rows: 7_000, ..config })[..5_000]);
    }

    #[test]
    fn fraud_is_rare_and_unfolds_over_time() {
        let rows = rows(&CardFraudConfig::default());
        assert_eq!(rows.len(), 200_000);
        assert!(rows.is_sorted_by_key(|row| row.seconds));
        assert!(rows.iter().zip(0..).all(|(row, id)| row.transaction_id == id));
        let share =
            |rows: &[Transaction]| rows.iter().filter(|row| row.is_fraud).count() as f64 / rows.len() as f64;
        assert!((0.003..0.05).contains(&share(&rows)), "{}", share(&rows));
        assert!(share(&rows[..20_000]) < share(&rows[180_000..]));
    }

    #[test]
    fn an_amount_above_220_is_fraud() {
        let rows = rows(&CardFraudConfig::default());
        let large: Vec<_> = rows.iter().filter(|row| row.amount > 220.0).collect();
        assert!(large.len() > 100, "{}", large.len());
        assert!(large.iter().all(|row| row.is_fraud));
    }

    #[test]
    fn customers_stay_within_their_radius_and_keep_their_profile() {
        let config = CardFraudConfig { rows: 100_000, customers: 50, ..Default::default() };
        let mut generator = CardFraud::new(&config);
        let profiles: Vec<(f64, f64)> =
            generator.customers.iter().map(|customer| (customer.amount_mean, customer.per_day)).collect();
        let (mut counts, mut genuine) = (vec![0.0; 50], vec![Vec::new(); 50]);
        for row in generator.by_ref() {
            // It is written with three decimals.
            assert!(row.distance <= config.radius, "{row:?}");
            counts[row.customer_id] += 1.0;
            if !row.is_fraud {
                genuine[row.customer_id].push(row.amount);
            }
        }
        let days = generator.day as f64;
        for (customer, (mean, per_day)) in profiles.into_iter().enumerate() {
            // Of a normal with a deviation of 20,000 s around noon 97 % fall into the day.
            let expected = 0.969 * per_day * days;
            let (n, deviation) = (counts[customer], expected.sqrt());
            assert!((n - expected).abs() < 5.0 * deviation + 4.0, "{n} instead of {expected}");
            let n = genuine[customer].len() as f64;
            let found = genuine[customer].iter().sum::<f64>() / n;
            // The mean of N(m, m/2) with its negatives drawn again from U(0, 2m) is 1.03 m.
            assert!((found / mean - 1.03).abs() < 5.0 * 0.5 / n.sqrt() + 0.03, "{found} instead of {mean}");
        }
    }

    #[test]
    fn a_compromised_terminal_is_fraud_for_28_days_and_no_longer() {
        let mut generator = CardFraud::new(&CardFraudConfig { customers: 500, ..Default::default() });
        let (mut since, mut known) = (HashMap::new(), generator.terminals.clone());
        let mut genuine_after = 0;
        for day in 0..120 {
            let today = generator.next_day();
            for (terminal, until) in generator.terminals.iter().enumerate() {
                if known[terminal] != *until {
                    since.insert(terminal, day);
                }
            }
            known.clone_from(&generator.terminals);
            for row in &today {
                let age = since.get(&row.terminal_id).map(|since| day - since);
                if age.is_some_and(|age| age < 28) {
                    assert!(row.is_fraud, "day {age:?} after: {row:?}");
                } else if age == Some(28) && !row.is_fraud {
                    genuine_after += 1;
                }
            }
        }
        assert!(genuine_after > 10, "{genuine_after}");
    }

    #[test]
    fn leaked_credentials_are_used_for_14_days_on_a_third_at_five_times_the_amount() {
        let mut generator = CardFraud::new(&CardFraudConfig { customers: 300, ..Default::default() });
        let mut since = vec![None; 300];
        let mut known: Vec<i64> = vec![0; 300];
        let (mut n, mut n_fraud, mut n_after, mut n_fraud_after) = (0.0, 0.0, 0, 0);
        let mut amounts = [(0.0, 0.0); 2];
        for day in 0..400 {
            let today = generator.next_day();
            for (id, customer) in generator.customers.iter().enumerate() {
                if known[id] != customer.leaked_until {
                    since[id] = Some(day);
                }
                known[id] = customer.leaked_until;
            }
            let clean = |row: &&Transaction| generator.terminals[row.terminal_id] <= day;
            for row in today.iter().filter(clean) {
                let Some(since) = since[row.customer_id] else { continue };
                let scaled = row.amount / generator.customers[row.customer_id].amount_mean;
                if day - since < 14 {
                    n += 1.0;
                    n_fraud += f64::from(u8::from(row.is_fraud));
                    let kind = &mut amounts[usize::from(row.is_fraud)];
                    (kind.0, kind.1) = (kind.0 + 1.0, kind.1 + scaled);
                } else {
                    n_after += 1;
                    n_fraud_after += usize::from(row.is_fraud && row.amount <= LARGE_AMOUNT);
                }
            }
        }
        let share = n_fraud / n;
        // Beside the third there are the few genuine amounts above 220.
        assert!((share - 1.0 / 3.0).abs() < 5.0 * (2.0 / 9.0 / n).sqrt() + 0.01, "{share} of {n}");
        let ratio = (amounts[1].1 / amounts[1].0) / (amounts[0].1 / amounts[0].0);
        assert!((ratio - 5.0).abs() < 0.25, "{ratio}");
        assert!(n_after > 1_000, "{n_after}");
        assert_eq!(n_fraud_after, 0);
    }
}
