//! Metrics, read from the store when somebody asks. The names are fixed.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use super::handle::EstateHandle;
use crate::report::TestReport;
use crate::store::{LastRun, Scope};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    estate: String,
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Results {
    estate: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Notifications {
    estate: String,
    channel: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Waiting {
    estate: String,
    channel: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEstate {
    estate: String,
}

/// The state of messages that have not become anything yet.
const PENDING: &str = "pending";

type Seconds<L> = Family<L, Gauge<f64, AtomicU64>>;

#[derive(Default)]
struct Metrics {
    last_success: Seconds<Target>,
    rto: Seconds<Target>,
    rto_objective: Seconds<Target>,
    rpo: Seconds<Target>,
    rpo_objective: Seconds<Target>,
    passed: Seconds<Target>,
    results: Family<Results, Gauge>,
    notifications: Family<Notifications, Counter>,
    pending: Family<Waiting, Gauge>,
    overdue: Family<OfEstate, Gauge>,
    stuck: Family<OfEstate, Gauge>,
    up: Family<OfEstate, Gauge>,
}

/// Everything as OpenMetrics text.
pub(super) async fn render(all: &[EstateHandle]) -> anyhow::Result<String> {
    let metrics = Metrics::default();
    for watched in all {
        metrics.fill(watched).await?;
    }
    let mut text = String::new();
    encode(&mut text, &metrics.registry())?;
    Ok(text)
}

impl Metrics {
    async fn fill(&self, watched: &EstateHandle) -> anyhow::Result<()> {
        let EstateHandle { estate, store, clock, health } = watched;
        let of_estate = OfEstate { estate: estate.name.clone() };
        self.up.get_or_create(&of_estate).set(i64::from(health.status().trouble.is_empty()));
        let stuck = i64::try_from(store.stuck_runs(&estate.name).await?)?;
        self.stuck.get_or_create(&of_estate).set(stuck);
        let overdue = i64::try_from(health.overdue())?;
        self.overdue.get_or_create(&of_estate).set(overdue);
        for database in &estate.databases {
            let target = Target { estate: estate.name.clone(), target: database.id.clone() };
            self.rto_objective.get_or_create(&target).set(database.objectives.rto.as_secs_f64());
            self.rpo_objective.get_or_create(&target).set(database.objectives.rpo.as_secs_f64());
        }
        for outcome in ["passed", "failed", "unknown"] {
            drop(self.results.get_or_create(&Results { estate: estate.name.clone(), outcome: outcome.to_owned() }));
        }
        let account = health.account().or_else(|| estate.account.clone()).unwrap_or_default();
        let (region, simulated) = (&estate.region, clock.is_simulated());
        let scope = Scope { estate: &estate.name, account: &account, region, simulated };
        for last in store.last_runs(scope).await? {
            self.fill_target(&estate.name, &last);
        }
        for counted in store.message_counts(&estate.name).await? {
            let (estate, channel) = (estate.name.clone(), counted.channel);
            if counted.state == PENDING {
                self.pending.get_or_create(&Waiting { estate, channel }).set(i64::try_from(counted.count)?);
            } else {
                let labels = Notifications { estate, channel, outcome: counted.state };
                self.notifications.get_or_create(&labels).inc_by(counted.count);
            }
        }
        Ok(())
    }

    fn fill_target(&self, estate: &str, last: &LastRun) {
        let target = Target { estate: estate.to_owned(), target: last.ended.new.target.clone() };
        if let Some(at) = last.passed_at {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
            let seconds = at.as_millisecond() as f64 / 1000.0;
            self.last_success.get_or_create(&target).set(seconds);
        }
        let report = last.ended.report.clone().and_then(|report| serde_json::from_value::<TestReport>(report).ok());
        let Some(report) = report else { return };
        self.passed.get_or_create(&target).set(f64::from(report.outcome == crate::store::RunState::Passed));
        if let Some(seconds) = report.rto.measured_seconds {
            self.rto.get_or_create(&target).set(seconds);
        }
        if let Some(seconds) = report.rpo.measured_seconds {
            self.rpo.get_or_create(&target).set(seconds);
        }
        for check in &report.checks {
            let labels = Results { estate: estate.to_owned(), outcome: check.outcome.name().to_owned() };
            self.results.get_or_create(&labels).inc();
        }
    }

    fn registry(self) -> Registry {
        let mut registry = Registry::with_prefix("drctl");
        registry.register(
            "restore_test_last_success_timestamp_seconds",
            "When the last passed restore test of a target ended",
            self.last_success,
        );
        registry.register("restore_test_rto_seconds", "The time to recover, as last measured", self.rto);
        registry.register("restore_test_rto_objective_seconds", "Recovery time objective", self.rto_objective);
        registry.register("rpo_seconds", "The data that would be lost, as last measured", self.rpo);
        registry.register("rpo_objective_seconds", "Recovery point objective", self.rpo_objective);
        registry.register("restore_test_passed", "Whether the last restore test of a target passed", self.passed);
        registry.register("check_results", "Checks of the last restore tests by outcome", self.results);
        registry.register("notifications", "Messages by channel and outcome", self.notifications);
        registry.register("notifications_pending", "Messages that wait to be sent", self.pending);
        registry.register("jobs_overdue", "Jobs that should have started and have not", self.overdue);
        registry.register("runs_stuck", "Runs that left something behind", self.stuck);
        registry.register("agent_ready", "Whether an estate's agent can do its work", self.up);
        registry
    }
}
