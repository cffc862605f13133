//! The sandbox's front door: finds out which service a request is for, applies faults, and keeps a log of calls.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::authorize::{Asked, authorize};
use super::behaviour::AwsBehaviour;
use super::control::{control, damage};
use super::engine::{Engines, SourceOptions, missing, private_root, shop_in_words, versions};
use super::fault::{self, Effect};
use super::gate::check_local;
use super::policy::Policy;
use super::protocol::{Answer, Fault, Params};
use super::shared::{Shared, note};
use super::world::World;
use super::{iam, kms, rds, secretsmanager, sns, sts};
use crate::aws::SANDBOX_HEADER;
use crate::clock::VirtualClock;
use crate::estate::Estate;

/// The largest request that is read.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a connection that shall get no answer stays open.
const SILENCE: Duration = Duration::from_hours(1);
/// Calls that the log keeps.
const MAX_CALLS: usize = 100_000;

/// How a sandbox is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; a port of 0 takes a free one.
    pub listen: SocketAddr,
    /// How fast its clock runs; 0 ends every lifecycle at once.
    pub time_scale: f64,
    /// Databases whose newest backup is damaged, each with `rows`, `page` or `index`.
    pub corrupt: Vec<(String, String)>,
    /// What its clock shows at first; the machine's time where absent.
    pub start: Option<Timestamp>,
    /// How closely it keeps to AWS's delays.
    pub aws: AwsBehaviour,
    /// Where the authority of its databases goes; a file of its own where absent.
    pub ca_file: Option<PathBuf>,
    /// What its databases hold.
    pub sources: SourceOptions,
    /// IAM policies, as JSON, that all callers have together; everything is allowed without any.
    pub policies: Vec<String>,
}

/// A sandbox that serves.
#[derive(Debug)]
pub struct Sandbox {
    /// Where it listens.
    pub address: SocketAddr,
    /// The bundle with the authority that signs its databases' certificates: what `ca` has to name.
    pub ca: PathBuf,
    /// What cannot be started on this machine, in words.
    pub missing: Vec<String>,
    /// What stands behind the engines, and which tables there are, in words.
    pub about: Vec<String>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    root: PathBuf,
}

impl Sandbox {
    /// Starts a sandbox that holds the estates' databases.
    ///
    /// # Errors
    /// Where it cannot listen, would listen beyond loopback, or has nowhere to put its databases.
    pub async fn start(estates: &[Estate], options: &Options) -> anyhow::Result<Self> {
        anyhow::ensure!(
            options.listen.ip().is_loopback(),
            "the sandbox listens on loopback only, not on {}",
            options.listen
        );
        let listener = TcpListener::bind(options.listen).await;
        let listener = listener.with_context(|| format!("failed to listen on {}", options.listen))?;
        let address = listener.local_addr()?;
        let root = private_root()?;
        let ca = options.ca_file.clone().unwrap_or_else(|| root.join("ca.pem"));
        let clock = VirtualClock::start(options.time_scale, options.start);
        let engines = Engines::new(&root, &ca)?;
        let mut world = World::new(clock.clone(), options.aws, Arc::clone(&engines));
        world.sources = options.sources.clone();
        for estate in estates {
            world.add(estate)?;
        }
        for (target, kind) in &options.corrupt {
            damage(&mut world, target, kind).map_err(|message| anyhow::anyhow!(message))?;
        }
        let mut about = versions().await;
        about.extend(holdings(&engines, &world).await?);
        let policies = options.policies.iter().map(|text| Policy::parse(text)).collect::<anyhow::Result<_>>()?;
        let policies = Mutex::new(policies);
        let (rules, calls) = Default::default();
        let shared = Arc::new(Shared { world: Mutex::new(world), rules, calls, clock, policies });
        let stop = CancellationToken::new();
        let app = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let stopped = stop.clone();
        let served = tokio::spawn(async move {
            let serve = axum::serve(listener, app).into_future();
            tokio::select! { _ = serve => {}, () = stopped.cancelled() => {} }
        });
        Ok(Self { address, ca, missing: missing(), about, shared, stop, served, root })
    }

    /// The environment in which AWS clients talk to this sandbox.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", "sandbox".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "sandbox".to_owned()),
        ]
    }

    /// Damages every backup of a database: `rows`, `page` or `index`.
    ///
    /// # Errors
    /// Where there is no such database or kind of damage.
    pub fn damage(&self, target: &str, kind: &str) -> anyhow::Result<()> {
        damage(&mut self.shared.world(), target, kind).map_err(|message| anyhow::anyhow!(message))
    }

    /// Stops serving, and removes everything. Databases end with their standard input.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.served.await;
        let _ = tokio::fs::remove_dir_all(&self.root).await;
    }
}

/// Which tables there are, in words. What somebody brought is loaded at once, so that its mistakes show at once.
async fn holdings(engines: &Engines, world: &World) -> anyhow::Result<Vec<String>> {
    let mut all = vec![shop_in_words()];
    for (protocol, seed) in world.with_schema() {
        let tables = engines.prepare(protocol, &seed).await?;
        let tables = if tables.is_empty() { "none".to_owned() } else { tables.join(", ") };
        all.push(format!("`{}` holds your own tables instead: {tables}", seed.source));
    }
    Ok(all)
}

/// Which service and action a request is for, and in which Region.
struct Target {
    service: String,
    action: String,
    region: String,
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return respond(&shared, Fault::new(413, "RequestTooLarge", "the request is too large").to_xml());
    };
    if let Some(path) = uri.path().strip_prefix("/_drctl/") {
        return control(&shared, &method, path, &headers, &body);
    }
    if let Err(message) = check_local(&headers) {
        return respond(&shared, Fault::new(403, "AccessDenied", message).to_xml());
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let target = target(&headers, &text);
    {
        let mut calls = shared.calls();
        if calls.len() < MAX_CALLS {
            calls.push((target.service.clone(), target.action.clone()));
        }
    }
    let effect = fault::strike(&mut shared.rules(), &target.service, &target.action);
    let json = headers.contains_key("x-amz-target");
    let render = |fault: Fault| if json { fault.to_json() } else { fault.to_xml() };
    let ending = match effect {
        None => None,
        Some(Effect::Status(status)) => Some(status),
        Some(Effect::Silence) => {
            tokio::time::sleep(SILENCE).await;
            None
        }
        Some(Effect::LostAnswer) => {
            let _ = dispatch(&shared, &target, &text, None);
            tokio::time::sleep(SILENCE).await;
            None
        }
        Some(Effect::Html) => {
            let body = "<html><body><h1>503 Service Unavailable</h1></body></html>".to_owned();
            return respond(&shared, Answer { status: 503, content_type: "text/html", body });
        }
        Some(Effect::Throttle) => return respond(&shared, render(Fault::new(400, "Throttling", "Rate exceeded"))),
        Some(Effect::Error) => {
            let message = "The request processing has failed because of an unknown error.";
            return respond(&shared, render(Fault::new(500, "InternalFailure", message)));
        }
        Some(Effect::Denied) => {
            let message = format!("not authorized to perform {}:{}", target.service, target.action);
            return respond(&shared, render(Fault::new(403, "AccessDenied", message)));
        }
        Some(Effect::Code(code)) => {
            return respond(&shared, render(Fault::new(400, &code, "the sandbox was told to answer this")));
        }
    };
    let answer = dispatch(&shared, &target, &text, ending.as_deref()).unwrap_or_else(render);
    respond(&shared, answer)
}

fn dispatch(shared: &Shared, target: &Target, body: &str, ending: Option<&str>) -> Result<Answer, Fault> {
    let mut world = shared.world();
    let Target { service, action, region } = target;
    authorize(&shared.policies(), &mut world, Asked { caller: sts::CALLER, region, service, action, body })?;
    let json = || serde_json::from_str::<Value>(body).unwrap_or_default();
    match target.service.as_str() {
        "rds" => rds::answer(&mut world, &target.region, &target.action, &Params::parse(body), ending),
        "iam" => iam::answer(&target.action, &Params::parse(body)),
        "sns" => sns::answer(&world, &target.action, &Params::parse(body)),
        "sts" => sts::answer(&world, &target.action, &Params::parse(body)),
        "secretsmanager" => secretsmanager::answer(&mut world, &target.action, &json()),
        "kms" => kms::answer(&world, &target.action, &json()),
        other => Err(Fault::new(400, "InvalidAction", format!("the sandbox does not serve `{other}`"))),
    }
}

/// The credential scope in the `Authorization` header names Region and service:
/// `Credential=KEY/20261120/eu-west-1/rds/aws4_request`.
fn target(headers: &HeaderMap, body: &str) -> Target {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scope = header("authorization").split("Credential=").nth(1).unwrap_or_default();
    let mut parts = scope.split(',').next().unwrap_or_default().split('/').skip(2);
    let region = parts.next().unwrap_or("us-east-1").to_owned();
    let service = parts.next().unwrap_or("unknown").to_owned();
    let action = match header("x-amz-target").rsplit_once('.') {
        Some((_, action)) => action.to_owned(),
        None => Params::parse(body).text("Action").unwrap_or_default().to_owned(),
    };
    Target { service, action, region }
}

fn respond(shared: &Shared, answer: Answer) -> Response<Body> {
    let note = serde_json::to_string(&note(shared)).unwrap_or_default();
    let builder = Response::builder().status(answer.status).header("content-type", answer.content_type);
    let date = shared.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let builder = builder.header(SANDBOX_HEADER, note).header("date", date);
    builder.body(Body::from(answer.body)).unwrap_or_default()
}
