//! How long AWS takes for what, in virtual seconds. Rounded from what people report; AWS promises nothing.

/// Durations of lifecycles.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Times {
    /// A copy of an instance.
    pub(in crate::sandbox) restore_instance: i64,
    /// A copy of a cluster, without instances.
    pub(in crate::sandbox) restore_cluster: i64,
    /// An instance of a cluster.
    pub(in crate::sandbox) add_member: i64,
    /// Removing an instance.
    pub(in crate::sandbox) delete_instance: i64,
    /// Removing a cluster.
    pub(in crate::sandbox) delete_cluster: i64,
    /// A new master password.
    pub(in crate::sandbox) set_password: i64,
    /// A snapshot.
    pub(in crate::sandbox) snapshot: i64,
    /// Each status on the way to `available`, and after a change.
    pub(in crate::sandbox) interim: i64,
    /// Another writer.
    pub(in crate::sandbox) fail_over: i64,
}

impl Times {
    /// As on AWS.
    pub(super) fn usual() -> Self {
        Self {
            restore_instance: 400,
            restore_cluster: 210,
            add_member: 260,
            delete_instance: 150,
            delete_cluster: 60,
            set_password: 20,
            snapshot: 120,
            interim: 20,
            fail_over: 30,
        }
    }

    /// Everything at once.
    pub(super) fn none() -> Self {
        Self {
            restore_instance: 0,
            restore_cluster: 0,
            add_member: 0,
            delete_instance: 0,
            delete_cluster: 0,
            set_password: 0,
            snapshot: 0,
            interim: 0,
            fail_over: 0,
        }
    }
}
