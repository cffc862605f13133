//! The clients of one Region: one for each service, made from one shared configuration when it is first asked for.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor};

use super::fence::LeaseFence;
use super::sandbox_clock::SandboxListener;
use super::sendings::Sendings;
use crate::clock::Clock;

/// A service's client. A new service implements this in its own file, and is at hand by [`super::Aws::client`].
pub(super) trait Connect: Clone + Send + Sync + 'static {
    /// A client for `connection`, whose interceptors it has to take: they follow the sandbox's clock and keep what may
    /// not be sent.
    fn connect(connection: &Connection) -> Self;
}

/// What the clients of a Region are made from.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) config: SdkConfig,
    interceptors: Vec<SharedInterceptor>,
    /// Only for clients that change what a run has made.
    of_changes: Vec<SharedInterceptor>,
}

impl Connection {
    /// What every client has to take.
    pub(super) fn interceptors(&self) -> impl Iterator<Item = SharedInterceptor> {
        self.interceptors.clone().into_iter()
    }

    /// What the client of a service has to take that makes and removes copies.
    pub(super) fn interceptors_of_changes(&self) -> impl Iterator<Item = SharedInterceptor> {
        self.interceptors().chain(self.of_changes.clone())
    }

    /// The same, where a lease fences changes and attempts are as short as that asks for.
    pub(super) fn fenced(mut self, timeouts: TimeoutConfig, fence: LeaseFence) -> Self {
        self.config = self.config.into_builder().timeout_config(timeouts).build();
        self.of_changes.push(SharedInterceptor::new(fence));
        self
    }

    /// The same, where `interceptor` sees every call.
    pub(super) fn intercepted(mut self, interceptor: impl Intercept + 'static) -> Self {
        self.interceptors.push(SharedInterceptor::new(interceptor));
        self
    }
}

/// The clients of one Region. Clones share them.
#[derive(Clone)]
pub(super) struct Clients(Arc<Inner>);

struct Inner {
    connection: Connection,
    made: Mutex<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clients").field(&self.0.connection).finish()
    }
}

impl Clients {
    pub(super) fn new(config: SdkConfig, clock: &Clock) -> Self {
        let listener = SharedInterceptor::new(SandboxListener { clock: clock.clone() });
        let of_changes = vec![SharedInterceptor::new(Sendings)];
        Self::of(Connection { config, interceptors: vec![listener], of_changes })
    }

    fn of(connection: Connection) -> Self {
        Self(Arc::new(Inner { connection, made: Mutex::default() }))
    }

    /// Clients of their own, made from the same connection, changed.
    pub(super) fn with(&self, change: impl FnOnce(Connection) -> Connection) -> Self {
        Self::of(change(self.0.connection.clone()))
    }

    /// The client of a service.
    pub(super) fn get<S: Connect>(&self) -> S {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&TypeId::of::<S>()).and_then(|client| client.downcast_ref::<S>()) {
            return client.clone();
        }
        let client = S::connect(&self.0.connection);
        made.insert(TypeId::of::<S>(), Box::new(client.clone()));
        client
    }
}
