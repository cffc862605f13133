//! What each operation takes, as botocore's models of `rds` and `docdb` (2014-10-31) have it; nothing else is accepted.
//!
//! A name ends in what it holds: `#` a whole number, `?` true or false, `@` a time, `*` a list or a structure, nothing
//! a text. `!` before it says that it is required by both.

use jiff::Timestamp;

use crate::sandbox::protocol::{ApiError, Params};

/// Every operation that the sandbox answers.
const OPERATIONS: &[(&str, &str)] = &[
    ("AddTagsToResource", "!ResourceName !Tags*"),
    (
        "CopyDBClusterSnapshot",
        "!SourceDBClusterSnapshotIdentifier !TargetDBClusterSnapshotIdentifier KmsKeyId PreSignedUrl CopyTags? \
         Tags*",
    ),
    (
        "CopyDBSnapshot",
        "!SourceDBSnapshotIdentifier !TargetDBSnapshotIdentifier KmsKeyId Tags* CopyTags? PreSignedUrl \
         OptionGroupName TargetCustomAvailabilityZone SnapshotTarget CopyOptionGroup? SnapshotAvailabilityZone \
         TagSpecifications*",
    ),
    (
        "CreateDBCluster",
        "AvailabilityZones* BackupRetentionPeriod# CharacterSetName DatabaseName !DBClusterIdentifier \
         DBClusterParameterGroupName VpcSecurityGroupIds* DBSubnetGroupName !Engine EngineVersion Port# \
         MasterUsername MasterUserPassword OptionGroupName PreferredBackupWindow PreferredMaintenanceWindow \
         ReplicationSourceIdentifier Tags* StorageEncrypted? KmsKeyId PreSignedUrl \
         EnableIAMDatabaseAuthentication? BacktrackWindow# EnableCloudwatchLogsExports* EngineMode \
         ScalingConfiguration* RdsCustomClusterConfiguration* DBClusterInstanceClass AllocatedStorage# \
         StorageType Iops# PubliclyAccessible? AutoMinorVersionUpgrade? DeletionProtection? \
         GlobalClusterIdentifier EnableHttpEndpoint? CopyTagsToSnapshot? Domain DomainIAMRoleName \
         EnableGlobalWriteForwarding? NetworkType ServerlessV2ScalingConfiguration* MonitoringInterval# \
         MonitoringRoleArn DatabaseInsightsMode EnablePerformanceInsights? PerformanceInsightsKMSKeyId \
         PerformanceInsightsRetentionPeriod# EnableLimitlessDatabase? ClusterScalabilityType DBSystemId \
         ManageMasterUserPassword? EnableLocalWriteForwarding? MasterUserSecretKmsKeyId CACertificateIdentifier \
         EngineLifecycleSupport TagSpecifications* MasterUserAuthenticationType EnableVPCNetworking? \
         WithExpressConfiguration? EnableInternetAccessGateway? AssociatedRoles*",
    ),
    ("CreateDBClusterSnapshot", "!DBClusterSnapshotIdentifier !DBClusterIdentifier Tags*"),
    (
        "CreateDBInstance",
        "DBName !DBInstanceIdentifier AllocatedStorage# !DBInstanceClass !Engine MasterUsername \
         MasterUserPassword DBSecurityGroups* VpcSecurityGroupIds* AvailabilityZone DBSubnetGroupName \
         PreferredMaintenanceWindow DBParameterGroupName BackupRetentionPeriod# PreferredBackupWindow Port# \
         MultiAZ? EngineVersion AutoMinorVersionUpgrade? LicenseModel Iops# StorageThroughput# OptionGroupName \
         CharacterSetName NcharCharacterSetName PubliclyAccessible? Tags* DBClusterIdentifier StorageType \
         TdeCredentialArn TdeCredentialPassword StorageEncrypted? KmsKeyId Domain DomainFqdn DomainOu \
         DomainAuthSecretArn DomainDnsIps* CopyTagsToSnapshot? MonitoringInterval# MonitoringRoleArn \
         DomainIAMRoleName PromotionTier# Timezone EnableIAMDatabaseAuthentication? DatabaseInsightsMode \
         EnablePerformanceInsights? PerformanceInsightsKMSKeyId PerformanceInsightsRetentionPeriod# \
         EnableCloudwatchLogsExports* ProcessorFeatures* DeletionProtection? MaxAllocatedStorage# \
         EnableCustomerOwnedIp? NetworkType BackupTarget CustomIamInstanceProfile DBSystemId \
         CACertificateIdentifier ManageMasterUserPassword? MasterUserSecretKmsKeyId MultiTenant? \
         DedicatedLogVolume? EngineLifecycleSupport AdditionalStorageVolumes* TagSpecifications* \
         DBCapacityReservationIdentifier MasterUserAuthenticationType",
    ),
    ("CreateDBSnapshot", "!DBSnapshotIdentifier !DBInstanceIdentifier Tags*"),
    ("CreateDBSubnetGroup", "!DBSubnetGroupName !DBSubnetGroupDescription !SubnetIds* Tags*"),
    ("DeleteDBCluster", "!DBClusterIdentifier SkipFinalSnapshot? FinalDBSnapshotIdentifier DeleteAutomatedBackups?"),
    ("DeleteDBClusterSnapshot", "!DBClusterSnapshotIdentifier"),
    ("DeleteDBInstance", "!DBInstanceIdentifier SkipFinalSnapshot? FinalDBSnapshotIdentifier DeleteAutomatedBackups?"),
    ("DeleteDBSnapshot", "!DBSnapshotIdentifier"),
    ("DescribeAccountAttributes", ""),
    ("DescribeDBClusterAutomatedBackups", "DbClusterResourceId DBClusterIdentifier Filters* MaxRecords# Marker"),
    ("DescribeDBClusterParameterGroups", "DBClusterParameterGroupName Filters* MaxRecords# Marker"),
    (
        "DescribeDBClusterSnapshots",
        "DBClusterIdentifier DBClusterSnapshotIdentifier SnapshotType Filters* MaxRecords# Marker IncludeShared? \
         IncludePublic? DbClusterResourceId",
    ),
    ("DescribeDBClusters", "DBClusterIdentifier Filters* MaxRecords# Marker IncludeShared?"),
    (
        "DescribeDBInstanceAutomatedBackups",
        "DbiResourceId DBInstanceIdentifier Filters* MaxRecords# Marker DBInstanceAutomatedBackupsArn",
    ),
    ("DescribeDBInstances", "DBInstanceIdentifier Filters* MaxRecords# Marker"),
    ("DescribeDBParameterGroups", "DBParameterGroupName Filters* MaxRecords# Marker"),
    (
        "DescribeDBSnapshots",
        "DBInstanceIdentifier DBSnapshotIdentifier SnapshotType Filters* MaxRecords# Marker IncludeShared? \
         IncludePublic? DbiResourceId",
    ),
    ("DescribeDBSubnetGroups", "DBSubnetGroupName Filters* MaxRecords# Marker"),
    (
        "DescribeEvents",
        "SourceIdentifier SourceType StartTime@ EndTime@ Duration# EventCategories* Filters* MaxRecords# Marker",
    ),
    ("DescribeOptionGroups", "OptionGroupName Filters* Marker MaxRecords# EngineName MajorEngineVersion"),
    (
        "DescribeOrderableDBInstanceOptions",
        "!Engine EngineVersion DBInstanceClass LicenseModel AvailabilityZoneGroup Vpc? Filters* MaxRecords# \
         Marker",
    ),
    ("FailoverDBCluster", "DBClusterIdentifier TargetDBInstanceIdentifier"),
    ("ListTagsForResource", "!ResourceName Filters*"),
    (
        "ModifyDBCluster",
        "!DBClusterIdentifier NewDBClusterIdentifier ApplyImmediately? BackupRetentionPeriod# \
         DBClusterParameterGroupName VpcSecurityGroupIds* Port# MasterUserPassword OptionGroupName \
         PreferredBackupWindow PreferredMaintenanceWindow EnableIAMDatabaseAuthentication? BacktrackWindow# \
         CloudwatchLogsExportConfiguration* EngineVersion AllowMajorVersionUpgrade? DBInstanceParameterGroupName \
         Domain DomainIAMRoleName ScalingConfiguration* DeletionProtection? EnableHttpEndpoint? \
         CopyTagsToSnapshot? EnableGlobalWriteForwarding? DBClusterInstanceClass AllocatedStorage# StorageType \
         Iops# AutoMinorVersionUpgrade? NetworkType ServerlessV2ScalingConfiguration* MonitoringInterval# \
         MonitoringRoleArn DatabaseInsightsMode EnablePerformanceInsights? PerformanceInsightsKMSKeyId \
         PerformanceInsightsRetentionPeriod# ManageMasterUserPassword? RotateMasterUserPassword? \
         EnableLocalWriteForwarding? MasterUserSecretKmsKeyId EngineMode AllowEngineModeChange? \
         AwsBackupRecoveryPointArn EnableLimitlessDatabase? CACertificateIdentifier MasterUserAuthenticationType \
         EngineLifecycleSupport EnableInternetAccessGateway? EnableVPCNetworking? DBSubnetGroupName",
    ),
    (
        "ModifyDBInstance",
        "!DBInstanceIdentifier AllocatedStorage# DBInstanceClass DBSubnetGroupName DBSecurityGroups* \
         VpcSecurityGroupIds* ApplyImmediately? MasterUserPassword DBParameterGroupName BackupRetentionPeriod# \
         PreferredBackupWindow PreferredMaintenanceWindow MultiAZ? EngineVersion AllowMajorVersionUpgrade? \
         AutoMinorVersionUpgrade? LicenseModel Iops# StorageThroughput# OptionGroupName NewDBInstanceIdentifier \
         StorageType TdeCredentialArn TdeCredentialPassword CACertificateIdentifier Domain DomainFqdn DomainOu \
         DomainAuthSecretArn DomainDnsIps* DisableDomain? CopyTagsToSnapshot? MonitoringInterval# DBPortNumber# \
         PubliclyAccessible? MonitoringRoleArn DomainIAMRoleName PromotionTier# EnableIAMDatabaseAuthentication? \
         DatabaseInsightsMode EnablePerformanceInsights? PerformanceInsightsKMSKeyId \
         PerformanceInsightsRetentionPeriod# CloudwatchLogsExportConfiguration* ProcessorFeatures* \
         UseDefaultProcessorFeatures? DeletionProtection? MaxAllocatedStorage# CertificateRotationRestart? \
         ReplicaMode AutomationMode ResumeFullAutomationModeMinutes# EnableCustomerOwnedIp? NetworkType \
         AwsBackupRecoveryPointArn ManageMasterUserPassword? RotateMasterUserPassword? MasterUserSecretKmsKeyId \
         MultiTenant? DedicatedLogVolume? Engine AdditionalStorageVolumes* DBCapacityReservationIdentifier \
         TagSpecifications* MasterUserAuthenticationType EngineLifecycleSupport",
    ),
    ("RebootDBInstance", "!DBInstanceIdentifier ForceFailover?"),
    ("RemoveTagsFromResource", "!ResourceName !TagKeys*"),
    (
        "RestoreDBClusterFromSnapshot",
        "AvailabilityZones* !DBClusterIdentifier !SnapshotIdentifier !Engine EngineVersion Port# \
         DBSubnetGroupName DatabaseName OptionGroupName VpcSecurityGroupIds* Tags* KmsKeyId \
         EnableIAMDatabaseAuthentication? BacktrackWindow# EnableCloudwatchLogsExports* EngineMode \
         ScalingConfiguration* DBClusterParameterGroupName DeletionProtection? CopyTagsToSnapshot? Domain \
         DomainIAMRoleName DBClusterInstanceClass StorageType Iops# PubliclyAccessible? NetworkType \
         ServerlessV2ScalingConfiguration* RdsCustomClusterConfiguration* MonitoringInterval# MonitoringRoleArn \
         EnablePerformanceInsights? PerformanceInsightsKMSKeyId PerformanceInsightsRetentionPeriod# \
         BackupRetentionPeriod# PreferredBackupWindow EngineLifecycleSupport TagSpecifications* \
         EnableVPCNetworking? EnableInternetAccessGateway? AssociatedRoles*",
    ),
    (
        "RestoreDBClusterToPointInTime",
        "!DBClusterIdentifier RestoreType SourceDBClusterIdentifier RestoreToTime@ UseLatestRestorableTime? Port# \
         DBSubnetGroupName OptionGroupName VpcSecurityGroupIds* Tags* KmsKeyId EnableIAMDatabaseAuthentication? \
         BacktrackWindow# EnableCloudwatchLogsExports* DBClusterParameterGroupName DeletionProtection? \
         CopyTagsToSnapshot? Domain DomainIAMRoleName DBClusterInstanceClass StorageType PubliclyAccessible? \
         Iops# NetworkType SourceDbClusterResourceId ServerlessV2ScalingConfiguration* ScalingConfiguration* \
         EngineMode RdsCustomClusterConfiguration* MonitoringInterval# MonitoringRoleArn \
         EnablePerformanceInsights? PerformanceInsightsKMSKeyId PerformanceInsightsRetentionPeriod# \
         BackupRetentionPeriod# PreferredBackupWindow EngineLifecycleSupport TagSpecifications* \
         EnableVPCNetworking? EnableInternetAccessGateway? AssociatedRoles*",
    ),
    (
        "RestoreDBInstanceFromDBSnapshot",
        "!DBInstanceIdentifier DBSnapshotIdentifier DBInstanceClass Port# AvailabilityZone DBSubnetGroupName \
         MultiAZ? PubliclyAccessible? AutoMinorVersionUpgrade? LicenseModel DBName Engine Iops# \
         StorageThroughput# OptionGroupName Tags* StorageType TdeCredentialArn TdeCredentialPassword \
         VpcSecurityGroupIds* Domain DomainFqdn DomainOu DomainAuthSecretArn DomainDnsIps* CopyTagsToSnapshot? \
         DomainIAMRoleName EnableIAMDatabaseAuthentication? EnableCloudwatchLogsExports* ProcessorFeatures* \
         UseDefaultProcessorFeatures? DBParameterGroupName DeletionProtection? EnableCustomerOwnedIp? NetworkType \
         BackupTarget CustomIamInstanceProfile AllocatedStorage# DBClusterSnapshotIdentifier \
         BackupRetentionPeriod# PreferredBackupWindow DBCapacityReservationIdentifier DedicatedLogVolume? \
         CACertificateIdentifier EngineLifecycleSupport AdditionalStorageVolumes* TagSpecifications* \
         ManageMasterUserPassword? MasterUserSecretKmsKeyId",
    ),
    (
        "RestoreDBInstanceToPointInTime",
        "SourceDBInstanceIdentifier !TargetDBInstanceIdentifier RestoreTime@ UseLatestRestorableTime? \
         DBInstanceClass Port# AvailabilityZone DBSubnetGroupName MultiAZ? PubliclyAccessible? \
         AutoMinorVersionUpgrade? LicenseModel DBName Engine Iops# StorageThroughput# OptionGroupName \
         CopyTagsToSnapshot? Tags* StorageType TdeCredentialArn TdeCredentialPassword VpcSecurityGroupIds* Domain \
         DomainIAMRoleName DomainFqdn DomainOu DomainAuthSecretArn DomainDnsIps* EnableIAMDatabaseAuthentication? \
         EnableCloudwatchLogsExports* ProcessorFeatures* UseDefaultProcessorFeatures? DBParameterGroupName \
         DeletionProtection? SourceDbiResourceId MaxAllocatedStorage# EnableCustomerOwnedIp? NetworkType \
         SourceDBInstanceAutomatedBackupsArn BackupTarget CustomIamInstanceProfile AllocatedStorage# \
         BackupRetentionPeriod# PreferredBackupWindow DBCapacityReservationIdentifier DedicatedLogVolume? \
         CACertificateIdentifier EngineLifecycleSupport AdditionalStorageVolumes* TagSpecifications* \
         ManageMasterUserPassword? MasterUserSecretKmsKeyId",
    ),
];

/// Says of every request what its operation would: which parameter is unknown, missing, or of another type. The codes
/// are those of the "Common errors" of the RDS API; which of them comes when is an assumption.
pub(super) fn check(action: &str, params: &Params) -> Result<(), ApiError> {
    let Some((_, known)) = OPERATIONS.iter().find(|(operation, _)| *operation == action) else {
        let message = format!("Could not find operation {action} for version 2014-10-31");
        return Err(ApiError::new(400, "InvalidAction", message));
    };
    let known: Vec<Parameter<'_>> = known.split_whitespace().map(Parameter::parse).collect();
    for (name, value) in params.all() {
        let first = name.split('.').next().unwrap_or(name);
        if first == "Action" || first == "Version" {
            continue;
        }
        let Some(parameter) = known.iter().find(|parameter| parameter.name == first) else {
            return Err(ApiError::new(400, "InvalidQueryParameter", format!("Unknown parameter {name} for {action}")));
        };
        parameter.check(name, value)?;
    }
    let given = |wanted: &str| params.all().any(|(name, _)| name.split('.').next() == Some(wanted));
    match known.iter().find(|parameter| parameter.required && !given(parameter.name)) {
        Some(missing) => {
            let message = format!("The request must contain the parameter {}", missing.name);
            Err(ApiError::new(400, "MissingParameter", message))
        }
        None => Ok(()),
    }
}

#[derive(Clone, Copy, Debug)]
struct Parameter<'p> {
    name: &'p str,
    /// The character after its name.
    holds: Option<char>,
    required: bool,
}

impl<'p> Parameter<'p> {
    fn parse(word: &'p str) -> Self {
        let name = word.trim_start_matches('!').trim_end_matches(['#', '?', '@', '*']);
        let holds = word.chars().last().filter(|last| !last.is_ascii_alphanumeric());
        Self { name, holds, required: word.starts_with('!') }
    }

    fn check(&self, name: &str, value: &str) -> Result<(), ApiError> {
        let nested = name.len() > self.name.len();
        let fits = match self.holds {
            Some('*') => return Ok(()),
            _ if nested => false,
            Some('#') => value.parse::<i64>().is_ok(),
            Some('?') => ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word)),
            Some('@') => value.parse::<Timestamp>().is_ok(),
            _ => true,
        };
        if fits { Ok(()) } else { Err(ApiError::invalid(format!("Invalid value {value} for {name}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(action: &str, body: &str) -> String {
        check(action, &Params::parse(body)).map_or_else(|fault| fault.code, |()| "fine".to_owned())
    }

    #[test]
    fn what_an_operation_does_not_have_is_refused() {
        let describe = |body: &str| code("DescribeDBInstances", body);
        assert_eq!(describe("Action=DescribeDBInstances&Version=2014-10-31&DBInstanceIdentifier=a"), "fine");
        assert_eq!(describe("Filters.Filter.1.Name=engine&Filters.Filter.1.Values.Value.1=docdb"), "fine");
        assert_eq!(describe("DBInstanceIdentifer=a"), "InvalidQueryParameter");
        assert_eq!(describe("MaxRecords=abc"), "InvalidParameterValue");
        assert_eq!(describe("DBInstanceIdentifier.1=a"), "InvalidParameterValue");
        assert_eq!(code("DeleteDBInstance", "SkipFinalSnapshot=true"), "MissingParameter");
        assert_eq!(code("DeleteDBInstance", "DBInstanceIdentifier=a&SkipFinalSnapshot=yes"), "InvalidParameterValue");
        assert_eq!(code("StopDBInstance", "DBInstanceIdentifier=a"), "InvalidAction");
        let point = "TargetDBInstanceIdentifier=a&SourceDBInstanceIdentifier=b&RestoreTime=";
        assert_eq!(code("RestoreDBInstanceToPointInTime", &format!("{point}2026-11-20T00%3A00%3A00Z")), "fine");
        assert_eq!(code("RestoreDBInstanceToPointInTime", &format!("{point}yesterday")), "InvalidParameterValue");
    }
}
