//! What the sandbox's databases hold: a shop's data that depends on nothing but the time it is of.
//!
//! One order falls on every quarter of an hour since the shop opened, so that any two restores to the same moment hold
//! the same rows, in this sandbox and in the next.

use jiff::Timestamp;

/// The shop's tables, and what DocumentDB has of them.
pub(super) const TABLES: [&str; 4] = ["customers", "products", "orders", "order_items"];
pub(super) const COLLECTIONS: [&str; 3] = ["customers", "products", "orders"];

/// When the shop opened.
const OPENED: &str = "2026-09-01T00:00:00Z";
/// Seconds between two orders.
pub(super) const ORDER_SECONDS: i64 = 900;
pub(super) const CUSTOMERS: i64 = 500;
pub(super) const PRODUCTS: i64 = 200;
/// Orders that a database whose rows are missing lost: every tenth, and all of the last days.
pub(super) const LOST_EVERY: i64 = 10;
pub(super) const LOST_LAST_ORDERS: i64 = 2 * 86_400 / ORDER_SECONDS;

/// When the shop opened, in seconds since 1970.
pub(super) fn opened_second() -> i64 {
    OPENED.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

/// How many orders there are at a moment.
pub(super) fn orders_at(at: Timestamp) -> i64 {
    ((at.as_second() - opened_second()) / ORDER_SECONDS).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_falls_on_every_quarter_of_an_hour() {
        let at = |text: &str| orders_at(text.parse().unwrap());
        assert_eq!(at(OPENED), 0);
        assert_eq!(at("2026-09-01T00:14:59Z"), 0);
        assert_eq!(at("2026-09-02T00:00:00Z"), 96);
        assert_eq!(at("2020-01-01T00:00:00Z"), 0);
    }
}
