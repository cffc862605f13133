//! The RDS API: instances of all kinds, Aurora clusters, their snapshots, events and quotas. It shows DocumentDB's as well.

mod backups;
mod groups;
mod inspect;
mod listing;
mod policy;
mod restore;
mod snapshots;

use aws_sdk_rds::Client as Rds;

pub use inspect::Sighting;
pub(super) use listing::{SnapshotName, all, clusters, filter, instances};
pub(super) use policy::{READS, statements};
pub(super) use restore::{restore_cluster, restore_instance, tags_of};
pub(super) use snapshots::{
    cluster, cluster_snapshot, cluster_snapshots, instance, instance_snapshot, instance_snapshots,
};

use super::client::{Connect, Connection};
use super::error::{ErrorKind, Service};

/// RDS, and DocumentDB with it: they share actions, names on the wire and codes.
pub(super) const RDS: Service = Service {
    prefix: "rds",
    codes: &[
        // A group that a copy is made with.
        ("DBParameterGroupNotFound", ErrorKind::MissingGroup),
        ("DBParameterGroupNotFoundFault", ErrorKind::MissingGroup),
        ("DBClusterParameterGroupNotFound", ErrorKind::MissingGroup),
        ("DBClusterParameterGroupNotFoundFault", ErrorKind::MissingGroup),
        ("OptionGroupNotFoundFault", ErrorKind::MissingGroup),
        // What AWS does not have in these zones, now or ever.
        ("InsufficientDBInstanceCapacity", ErrorKind::Capacity),
        ("InsufficientDBClusterCapacityFault", ErrorKind::Capacity),
        ("InsufficientStorageClusterCapacity", ErrorKind::Capacity),
        ("ProvisionedIopsNotAvailableInAZFault", ErrorKind::Capacity),
        ("StorageTypeNotAvailableFault", ErrorKind::Capacity),
        // What is wrong with where a copy would stand.
        ("InvalidVPCNetworkStateFault", ErrorKind::Network),
        ("InvalidSubnet", ErrorKind::Network),
        ("InsufficientAvailableIPsInSubnetFault", ErrorKind::Network),
        ("DBSubnetGroupDoesNotCoverEnoughAZs", ErrorKind::Network),
        ("DBSubnetGroupNotAllowedFault", ErrorKind::Network),
        ("InvalidDBSubnetGroupFault", ErrorKind::Network),
        ("NetworkTypeNotSupported", ErrorKind::Network),
        ("VpcEncryptionControlViolationException", ErrorKind::Network),
        ("KMSKeyNotAccessibleFault", ErrorKind::Key),
        ("DBInstanceNotReady", ErrorKind::State),
        ("IamRoleMissingPermissions", ErrorKind::Denied),
    ],
};

impl Connect for Rds {
    fn connect(connection: &Connection) -> Self {
        let config = aws_sdk_rds::config::Builder::from(&connection.config);
        let config = connection.interceptors_of_changes().fold(config, aws_sdk_rds::config::Builder::interceptor);
        Self::from_conf(config.build())
    }
}
