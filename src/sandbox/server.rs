//! The sandbox's front door: finds out which service a request is for, applies faults, and keeps a log of calls.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, Response, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::authorize::{Asked, authorize};
use super::behaviour::AwsBehaviour;
use super::control::{control, damage};
use super::engine::{Engines, SourceOptions, missing, private_root, shop_in_words, versions};
use super::fault::{self, Effect};
use super::gate::check_local;
use super::identity::Caller;
use super::policy::Policy;
use super::protocol::{Answer, ApiError, Params};
use super::record::{Exchange, Recorder, arguments};
use super::shared::{Shared, note};
use super::socket::{Listener, Reset};
use super::world::{World, after};
use super::{ec2, iam, identity, kms, rds, secretsmanager, sns, sts};
use crate::aws::SANDBOX_HEADER;
use crate::clock::{Clock, VirtualClock};
use crate::estate::Estate;

/// The largest request that is read.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a connection that shall get no answer stays open.
const SILENCE: Duration = Duration::from_hours(1);

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
    /// A directory in which every request and its answer is recorded.
    pub record: Option<PathBuf>,
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
        let recorder = options.record.as_deref().map(Recorder::create).transpose()?;
        let policies = options.policies.iter().map(|text| Policy::parse(text)).collect::<anyhow::Result<_>>()?;
        let policies = Mutex::new(policies);
        let (rules, calls, rates) = Default::default();
        let shared = Shared { world: Mutex::new(world), rules, calls, rates, recorder, clock, policies };
        let shared = Arc::new(shared);
        let stop = CancellationToken::new();
        let app = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let app = app.into_make_service_with_connect_info::<Reset>();
        let stopped = stop.clone();
        let served = tokio::spawn(async move {
            let serve = axum::serve(Listener(listener), app).into_future();
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

/// What a request is for, and who sent it.
struct Target {
    service: String,
    action: String,
    region: String,
    caller: Caller,
}

/// What a fault rule does to a call that is performed.
#[derive(Clone, Copy, Debug, Default)]
struct Twist<'t> {
    /// The status that a restore ends in.
    ending: Option<&'t str>,
    /// For how many seconds a deletion takes no end.
    stuck: Option<i64>,
}

/// What becomes of a call.
enum Ending {
    /// It is answered.
    Answered(Answer),
    /// The connection is reset.
    Reset,
    /// The connection ends in the middle of this answer.
    CutOff(Answer),
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(reset): ConnectInfo<Reset>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return respond(&shared, ApiError::new(413, "RequestTooLarge", "the request is too large").to_xml());
    };
    if let Some(path) = uri.path().strip_prefix("/_drctl/") {
        return control(&shared, &method, path, &headers, &body);
    }
    if let Err(message) = check_local(&headers) {
        return respond(&shared, ApiError::new(403, "AccessDenied", message).to_xml());
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let request = identity::Request { method: &method, uri: &uri, headers: &headers, body: &body };
    match answer(&shared, &request, &text).await {
        Ending::Answered(answer) => respond(&shared, answer),
        Ending::Reset => {
            reset.connection();
            respond(&shared, Answer { status: 200, content_type: "text/plain", body: String::new() })
        }
        Ending::CutOff(answer) => cut_off(answer),
    }
}

/// Finds out what is asked, lets faults have their way, and keeps account of it.
async fn answer(shared: &Shared, request: &identity::Request<'_>, text: &str) -> Ending {
    let json = request.headers.contains_key("x-amz-target");
    let (service, region) = identity::scope(request.headers).unwrap_or_default();
    let render = |fault: ApiError| match service.as_str() {
        "ec2" => fault.to_ec2(),
        _ if json => fault.to_json(),
        _ => fault.to_xml(),
    };
    let action = action(request.headers, text);
    let arguments = arguments(text);
    let call = fault::Call { service: &service, action: &action, region: &region, arguments: &arguments };
    let effect = fault::match_fault(&mut shared.rules(), &call);
    let known = identity::authenticate(request, &shared.world().sessions, Clock::system().now(), shared.clock.now());
    let caller_arn = known.as_ref().map(|caller| caller.arn.clone()).unwrap_or_default();
    shared.log(json!({
        "service": service, "action": action, "region": region, "caller": caller_arn, "arguments": arguments,
    }));
    let scripted = !matches!(effect, None | Some(Effect::Status(_) | Effect::Stuck(_)));
    let ending = match known {
        Err(fault) => Ending::Answered(render(fault)),
        Ok(caller) => {
            let target = Target { service: service.clone(), action: action.clone(), region: region.clone(), caller };
            perform(shared, &target, text, effect, &render).await
        }
    };
    if let (Some(recorder), Ending::Answered(answer) | Ending::CutOff(answer)) = (&shared.recorder, &ending) {
        recorder.write(&Exchange {
            service: &service,
            action: &action,
            region: &region,
            caller: &caller_arn,
            request: text,
            status: answer.status,
            answer: &answer.body,
            scripted,
        });
    }
    ending
}

/// Performs a call, unless a fault rule has something else in mind.
async fn perform(
    shared: &Shared,
    target: &Target,
    text: &str,
    effect: Option<Effect>,
    render: &impl Fn(ApiError) -> Answer,
) -> Ending {
    let refused = |fault: ApiError| Ending::Answered(render(fault));
    let done = |twist: Twist<'_>| dispatch(shared, target, text, twist).unwrap_or_else(render);
    let usual = || done(Twist::default());
    let Target { service, region, caller, .. } = target;
    match effect {
        None if !shared.rates().admits(shared.world().behaviour, &caller.account, region, service) => {
            refused(throttled())
        }
        None => Ending::Answered(usual()),
        Some(Effect::Status(status)) => Ending::Answered(done(Twist { ending: Some(&status), stuck: None })),
        Some(Effect::Stuck(seconds)) => Ending::Answered(done(Twist { ending: None, stuck: Some(seconds) })),
        Some(Effect::Silence) => {
            tokio::time::sleep(SILENCE).await;
            Ending::Reset
        }
        Some(Effect::LostAnswer) => {
            usual();
            tokio::time::sleep(SILENCE).await;
            Ending::Reset
        }
        Some(Effect::Reset) => Ending::Reset,
        Some(Effect::LostReset) => {
            usual();
            Ending::Reset
        }
        Some(Effect::Slow(seconds)) => {
            tokio::time::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default()).await;
            Ending::Answered(usual())
        }
        Some(Effect::Truncated) => Ending::CutOff(usual()),
        Some(Effect::Malformed) => {
            let answer = usual();
            let half: String = answer.body.chars().take(answer.body.chars().count() / 2).collect();
            Ending::Answered(Answer { body: half, ..answer })
        }
        Some(Effect::Html) => {
            let body = "<html><body><h1>503 Service Unavailable</h1></body></html>".to_owned();
            Ending::Answered(Answer { status: 503, content_type: "text/html", body })
        }
        Some(Effect::Throttle) => refused(throttled()),
        Some(Effect::Error) => {
            let message = "The request processing has failed because of an unknown error.";
            refused(ApiError::new(500, "InternalFailure", message))
        }
        Some(Effect::Denied) => {
            let action = format!("{service}:{}", target.action);
            let message = format!("User: {} is not authorized to perform: {action}", caller.arn);
            refused(ApiError::new(403, "AccessDenied", message))
        }
        Some(Effect::Code(code)) => refused(ApiError::new(400, &code, "the sandbox was told to answer this")),
        Some(Effect::Answer { status, code }) => {
            refused(ApiError::new(status, &code, "the sandbox was told to answer this"))
        }
    }
}

fn throttled() -> ApiError {
    ApiError::new(400, "Throttling", "Rate exceeded")
}

fn dispatch(shared: &Shared, target: &Target, body: &str, twist: Twist<'_>) -> Result<Answer, ApiError> {
    let mut world = shared.world();
    world.account.clone_from(&target.caller.account);
    let Target { service, action, region, caller } = target;
    authorize(
        &shared.policies(),
        &mut world,
        Asked { caller: &caller.arn, account: &caller.account, region, service, action, body },
    )?;
    let json = || {
        let malformed = |_| ApiError::new(400, "SerializationException", "the body is not JSON");
        serde_json::from_str::<Value>(body).map_err(malformed)
    };
    match service.as_str() {
        "rds" => {
            let params = Params::parse(body);
            let answer = rds::answer(&mut world, region, action, &params, twist.ending)?;
            if let Some(seconds) = twist.stuck {
                keep_deleting(&mut world, region, &params, seconds);
            }
            Ok(answer)
        }
        "ec2" => ec2::answer(&mut world, region, action, &Params::parse(body)),
        "iam" => iam::answer(action, &Params::parse(body)),
        "sns" => sns::answer(&world, action, &Params::parse(body)),
        "sts" => sts::answer(&mut world, caller, action, &Params::parse(body)),
        "secretsmanager" => secretsmanager::answer(&mut world, region, action, &json()?),
        "kms" => kms::answer(&mut world, region, action, &json()?),
        other => Err(ApiError::new(400, "InvalidAction", format!("the sandbox does not serve `{other}`"))),
    }
}

/// What was just deleted stays `deleting` for so long.
fn keep_deleting(world: &mut World, region: &str, params: &Params, seconds: i64) {
    let until = after(world.clock.now(), seconds);
    // Not by `World::region`, for which it may be gone already.
    for region in world.regions.values_mut().filter(|found| found.name == region) {
        let instance = params.text("DBInstanceIdentifier").and_then(|id| region.instances.get_mut(id));
        let cluster = params.text("DBClusterIdentifier").and_then(|id| region.clusters.get_mut(id));
        let timelines = instance.map(|found| &mut found.timeline).into_iter();
        for timeline in timelines.chain(cluster.map(|found| &mut found.timeline)) {
            timeline.is_stuck_until(until);
        }
    }
}

/// The action that a request asks for, in the header or in the body.
fn action(headers: &HeaderMap, body: &str) -> String {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match target.rsplit_once('.') {
        Some((_, action)) => action.to_owned(),
        None => Params::parse(body).text("Action").unwrap_or_default().to_owned(),
    }
}

/// An answer whose second half never comes, though its length was told.
fn cut_off(answer: Answer) -> Response<Body> {
    let builder = Response::builder().status(answer.status).header("content-type", answer.content_type);
    let builder = builder.header("content-length", answer.body.len());
    let mut half = answer.body.into_bytes();
    half.truncate(half.len() / 2);
    let ends: [std::io::Result<Vec<u8>>; 2] = [Ok(half), Err(std::io::ErrorKind::ConnectionReset.into())];
    builder.body(Body::from_stream(futures_util::stream::iter(ends))).unwrap_or_default()
}

fn respond(shared: &Shared, answer: Answer) -> Response<Body> {
    let note = serde_json::to_string(&note(shared)).unwrap_or_default();
    let builder = Response::builder().status(answer.status).header("content-type", answer.content_type);
    let date = shared.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let builder = builder.header(SANDBOX_HEADER, note).header("date", date);
    builder.body(Body::from(answer.body)).unwrap_or_default()
}
