from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from release.deploy import __main__ as deploy
from release.deploy.host import deploy as host_deploy
from tests.support import templates

# AWS knows no resource for these: a token for the account's registry, and what lists or polls.
WITHOUT_RESOURCE = {
    "ecr:GetAuthorizationToken",
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
    "logs:DescribeLogGroups",
    "cloudwatch:PutMetricData",  # its condition names the namespace
    "ssm:GetCommandInvocation",
    "ssm:ListCommandInvocations",
    "ssm:ListCommands",
    "ssm:ListInstanceAssociations",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}
ROLES = dict(templates.resources("AWS::IAM::Role"))
DEVELOPER = "foundation/DeveloperRole"


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(role: str) -> Iterator[dict[str, Any]]:
    for policy in ROLES[role]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def allowed(role: str) -> set[str]:
    return {action for each in statements(role) for action in listed(each["Action"])}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_every_action_and_few_without_a_resource(role: str) -> None:
    for statement in statements(role):
        actions = set(listed(statement["Action"]))
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in actions)
        if "*" in listed(statement["Resource"]):
            assert actions <= WITHOUT_RESOURCE


@pytest.mark.parametrize("role", ROLES)
def test_a_resource_with_a_star_is_a_folder_or_a_tagged_host(role: str) -> None:
    for statement in statements(role):
        for resource in listed(statement["Resource"]):
            text = json.dumps(resource)
            if "*" in text and resource != "*":
                tagged = statement.get("Condition") == {
                    "StringEquals": {"ssm:resourceTag/credit-pd": "serving"}
                }
                assert re.search(r"/(dvc|incoming|host)/\*", text) or tagged


@pytest.mark.parametrize(
    "role", [r for r in ROLES if r.startswith("foundation/") and r != DEVELOPER]
)
def test_a_role_of_the_workflows_admits_exact_subjects_of_one_repository(role: str) -> None:
    [trust] = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]
    claims = trust["Condition"]["StringEquals"]
    subjects = claims.pop("token.actions.githubusercontent.com:sub")
    assert claims == {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}
    assert all(each["Fn::Sub"].startswith("${SubjectPrefix}:") for each in subjects)
    assert not any("*" in each["Fn::Sub"] for each in subjects)


def test_a_subject_prefix_with_a_star_is_no_parameter() -> None:
    pattern = templates.load(templates.INFRA / "foundation.yaml")["Parameters"]["SubjectPrefix"]
    for prefix in ("repo:lender/credit", "repo:lender@12/credit@34"):
        assert re.fullmatch(pattern["AllowedPattern"], prefix)
    for prefix in ("repo:lender/*", "repo:*", "repo:lender/credit:ref:refs/heads/main"):
        assert not re.fullmatch(pattern["AllowedPattern"], prefix)


def test_a_reading_role_cannot_write() -> None:
    assert allowed("foundation/ReadRole") == {"s3:ListBucket", "s3:GetObject"}


def test_a_developer_pushes_data_and_models_and_touches_nothing_else() -> None:
    assert allowed(DEVELOPER) == {
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:AbortMultipartUpload",
    }
    assert "incoming" not in json.dumps(ROLES[DEVELOPER]["Policies"])
    held = templates.load(templates.INFRA / "foundation.yaml")
    assert held["Resources"]["DeveloperRole"]["Condition"] == "HasDevelopers"
    pattern = held["Parameters"]["Developers"]["AllowedPattern"]
    assert re.fullmatch(pattern, "arn:aws:iam::123456789012:role/data-science")
    assert not re.fullmatch(pattern, "*")
    assert not re.fullmatch(pattern, "arn:aws:iam::123456789012:role/*")


def test_no_role_may_delete_anything() -> None:
    for role in ROLES:
        assert not any("Delete" in action for action in allowed(role) - WITHOUT_RESOURCE)


def test_the_deployment_may_send_one_document_to_tagged_hosts_and_read_its_results() -> None:
    sends = [each for each in statements("foundation/DeployRole") if "SendCommand" in str(each)]
    document, hosts = (each["Resource"]["Fn::Sub"] for each in sends)
    name = templates.only("AWS::SSM::Document")["Name"]
    assert document.endswith(f":document/{name}")
    assert hosts.endswith(":instance/*")
    assert sends[1]["Condition"] == {"StringEquals": {f"ssm:resourceTag/{deploy.TAG}": "serving"}}
    assert allowed("foundation/DeployRole") == {
        "ssm:SendCommand",
        "ssm:GetCommandInvocation",
        "ssm:ListCommandInvocations",
        "ssm:ListCommands",
    }


def test_the_deployment_names_what_the_stack_makes() -> None:
    assert templates.only("AWS::SSM::Document")["Name"] == deploy.DOCUMENT
    groups = [each["LogGroupName"] for _, each in templates.resources("AWS::Logs::LogGroup")]
    assert deploy.LOG in groups
    tags = templates.only("AWS::EC2::Instance")["Tags"]
    assert {"Key": deploy.TAG, "Value": "serving"} in tags


def test_the_bucket_is_private_versioned_encrypted_and_kept() -> None:
    bucket = templates.only("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    held = templates.load(templates.INFRA / "foundation.yaml")["Resources"]["Bucket"]
    assert held["DeletionPolicy"] == held["UpdateReplacePolicy"] == "Retain"


def test_images_cannot_be_overwritten_and_are_scanned() -> None:
    repository = templates.only("AWS::ECR::Repository")
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_the_host_is_reached_on_443_alone() -> None:
    [rule] = dict(templates.resources("AWS::EC2::SecurityGroup"))["host/SecurityGroup"][
        "SecurityGroupIngress"
    ]
    assert (rule["FromPort"], rule["ToPort"]) == (443, 443)


def test_the_host_encrypts_its_disks_and_keeps_its_credentials_to_itself() -> None:
    host = templates.only("AWS::EC2::Instance")
    assert host["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert host["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert templates.only("AWS::EC2::Volume")["Encrypted"] is True
    assert "KeyName" not in host


def test_the_ledger_outlives_the_stack() -> None:
    held = templates.load(templates.INFRA / "host.yaml")["Resources"]["Ledger"]
    assert held["DeletionPolicy"] == held["UpdateReplacePolicy"] == "Snapshot"


def test_every_alarm_notifies_somebody() -> None:
    for _, alarm in templates.resources("AWS::CloudWatch::Alarm"):
        assert alarm["AlarmActions"] == [{"Ref": "Alarms"}]


def test_every_log_alarm_watches_a_metric_of_a_filter() -> None:
    resources = {
        change["MetricName"]
        for _, each in templates.resources("AWS::Logs::MetricFilter")
        for change in each["MetricTransformations"]
    }
    watched = {
        alarm["MetricName"]
        for _, alarm in templates.resources("AWS::CloudWatch::Alarm")
        if alarm["Namespace"] == "credit-pd"
    }
    assert watched == resources


@pytest.mark.parametrize(
    ("name", "line", "counted"),
    [
        ("RefusedDeployments", "refused: another deployment is running on this host", True),
        ("RefusedDeployments", "rolled back: r@sha256:0: 3 failures in 9 requests", True),
        ("RefusedDeployments", "live: blue r@sha256:0", False),
        ("ServiceErrors", "Traceback (most recent call last):", True),
        ("ServiceErrors", "2026-11-21T09:00:00+0000 [ERROR] [service] no disk", True),
        ("ServiceErrors", "monitor: the ledger cannot be reached", True),
        ("ServiceErrors", "alerts: ALERT_SMTP: refused", True),
        ("ServiceErrors", "2026-11-21T09:00:00+0000 [INFO] [service] started", False),
    ],
)
def test_a_filter_counts_the_messages_of_failures(name: str, line: str, counted: bool) -> None:
    pattern = dict(templates.resources("AWS::Logs::MetricFilter"))[f"host/{name}"]["FilterPattern"]
    words = [quoted or plain for quoted, plain in re.findall(r'\?(?:"([^"]+)"|(\S+))', pattern)]
    assert any(word in line for word in words) is counted


def test_a_refusal_of_the_host_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host_deploy.main(["--settings", str(tmp_path / "none"), "--status"]) == 2
    pattern = dict(templates.resources("AWS::Logs::MetricFilter"))["host/RefusedDeployments"]
    errors = capsys.readouterr().err
    assert any(word in errors for word in re.findall(r'"([^"]+)"', pattern["FilterPattern"]))


def test_a_task_of_fargate_is_as_unprivileged_as_the_containers_of_a_host() -> None:
    [container] = templates.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    assert container["ReadonlyRootFilesystem"] is True
    assert container["User"] == "1034:1034"
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}


FARGATE = templates.load(templates.INFRA / "fargate.yaml")["Resources"]


def test_fargate_grows_on_requests_and_on_cpu_and_keeps_two_tasks() -> None:
    metrics = {
        held["Properties"]["TargetTrackingScalingPolicyConfiguration"][
            "PredefinedMetricSpecification"
        ]["PredefinedMetricType"]
        for held in FARGATE.values()
        if held["Type"] == "AWS::ApplicationAutoScaling::ScalingPolicy"
    }
    assert metrics == {"ALBRequestCountPerTarget", "ECSServiceAverageCPUUtilization"}
    fewest = templates.load(templates.INFRA / "fargate.yaml")["Parameters"]["Fewest"]
    assert (fewest["Default"], fewest["MinValue"]) == (2, 2)
    scaling = FARGATE["Scaling"]["Properties"]
    assert (scaling["MinCapacity"], scaling["MaxCapacity"]) == ({"Ref": "Fewest"}, {"Ref": "Most"})
    assert "DesiredCount" not in FARGATE["Service"]["Properties"]


def test_fargate_asks_for_health_where_nothing_is_written() -> None:
    target = FARGATE["Targets"]["Properties"]
    assert (target["HealthCheckPath"], target["Matcher"]) == ("/readyz", {"HttpCode": "200"})
    [container] = FARGATE["Task"]["Properties"]["ContainerDefinitions"]
    assert "/readyz" in container["HealthCheck"]["Command"][-1]


def test_a_task_of_fargate_ends_after_its_last_request_and_a_bad_one_is_taken_back() -> None:
    [container] = FARGATE["Task"]["Properties"]["ContainerDefinitions"]
    [delay] = FARGATE["Targets"]["Properties"]["TargetGroupAttributes"]
    assert int(delay["Value"]) < container["StopTimeout"]
    deployment = FARGATE["Service"]["Properties"]["DeploymentConfiguration"]
    assert deployment["MinimumHealthyPercent"] == 100
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def test_tasks_of_fargate_have_keys_and_postgresql_and_no_address_outside() -> None:
    [container] = FARGATE["Task"]["Properties"]["ContainerDefinitions"]
    assert "CREDIT_PD_API_KEYS" in {each["Name"] for each in container["Environment"]}
    assert {each["Name"] for each in container["Secrets"]} == {"DATABASE_URL"}
    network = FARGATE["Service"]["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    assert FARGATE["Front"]["Properties"]["Scheme"] == "internal"


EXPORTS = """
Resources: {Nothing: {Type: "AWS::SNS::Topic"}}
Outputs:
  Repository:
    Value: arn:aws:ecr:eu-central-1:123456789012:repository/credit-pd
    Export: {Name: credit-pd-repository-arn}
"""


@pytest.mark.filterwarnings("ignore:Tried to parse AWS.*ApplicationAutoScaling:UserWarning")
def test_fargates_stack_is_made_by_motos_cloudformation(monkeypatch: pytest.MonkeyPatch) -> None:
    boto3, moto = (pytest.importorskip(name) for name in ("boto3", "moto"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    account = "eu-central-1:123456789012"
    with moto.mock_aws():
        client = {
            name: boto3.client(name, region_name="eu-central-1")
            for name in ("acm", "cloudformation", "ec2", "ecs", "elbv2")
        }
        vpc = client["ec2"].create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            client["ec2"].create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-central-1{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        given = {
            "Image": f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/pd@sha256:{'a' * 64}",
            "DatabaseUrl": f"arn:aws:secretsmanager:{account}:secret:database-url",
            "ApiKeys": "b" * 64,
            "Vpc": vpc,
            "Subnets": ",".join(subnets),
            "Clients": "10.0.0.0/8",
            "Certificate": client["acm"].request_certificate(DomainName="pd.example.com")[
                "CertificateArn"
            ],
        }
        client["cloudformation"].create_stack(StackName="foundation", TemplateBody=EXPORTS)
        client["cloudformation"].create_stack(
            StackName="fargate",
            TemplateBody=(templates.INFRA / "fargate.yaml").read_text(),
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        [stack] = client["cloudformation"].describe_stacks(StackName="fargate")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        [task] = client["ecs"].list_task_definitions()["taskDefinitionArns"]
        definition = client["ecs"].describe_task_definition(taskDefinition=task)["taskDefinition"]
        assert definition["containerDefinitions"][0]["image"] == given["Image"]
        [group] = client["elbv2"].describe_target_groups()["TargetGroups"]
        assert group["HealthCheckPath"] == "/readyz"


def user_data(**values: str) -> str:
    """The shell script among the host's user data, with its values in place."""
    text, _ = templates.only("AWS::EC2::Instance")["UserData"]["Fn::Base64"]["Fn::Sub"]
    script = text[text.index("#!/bin/sh") : text.index("--part--")]
    return re.sub(r"\$\{([\w:]+)\}", lambda match: values[match[1]], script)


@pytest.fixture
def started(tmp_path: Path) -> tuple[Path, list[str]]:
    """A folder as the host's root after its start, and the commands that were run."""
    (tmp_path / "release/deploy/host").mkdir(parents=True)
    (tmp_path / "release/deploy/host/install.sh").write_text('echo "install.sh $*" >>"$CALLS"\n')
    archive, root, bins = (tmp_path / name for name in ("host.tar.gz", "root", "bin"))
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "release", "release")
    bins.mkdir()
    for name in ("apt-get", "blkid", "mkfs.ext4", "mount", "mountpoint", "python3", "systemd-run"):
        lines = ["#!/bin/sh", f'echo "{name} $*" >>"$CALLS"']
        lines += {
            "blkid": ["exit 2"],
            "mountpoint": ["exit 1"],
            "python3": [f"cp {archive} host.tar.gz"],
        }.get(name, [])
        (bins / name).write_text("\n".join(lines) + "\n")
        (bins / name).chmod(0o755)
    (root / "dev/disk/by-id").mkdir(parents=True)
    (root / "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0abc").touch()
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/fstab").touch()
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "etc/credit-pd").mkdir()
    (root / "etc/credit-pd/service.env").write_text("of an older host\n")
    script = user_data(
        Ledger="vol-0abc",
        HostFiles=sha256(archive.read_bytes()).hexdigest(),
        ReleaseKey="arn:aws:kms:eu-central-1:1:key/2",
        Repository="1.dkr/credit-pd",
        Registry="1.dkr",
        Bucket="artifacts",
        ServiceLog="/credit-pd/service",
        **{"AWS::Region": "eu-central-1"},
    )
    script = re.sub(r"(?<![\w/.])/(dev|etc|var|usr/local)/", rf"{root}/\1/", script)
    calls = tmp_path / "calls"
    environment = {"PATH": f"{bins}:{os.environ['PATH']}", "CALLS": str(calls)}
    for _ in range(2):
        subprocess.run(["sh", "-c", script], env=environment, check=True, capture_output=True)
    return root, calls.read_text().splitlines()


def test_every_start_installs_the_host_files(
    started: tuple[Path, list[str]],
) -> None:
    _, calls = started
    assert calls.count("install.sh 1.dkr/credit-pd") == 2


def test_a_start_pulls_by_the_instances_role_and_logs_to_the_group(
    started: tuple[Path, list[str]],
) -> None:
    etc = started[0] / "etc"
    helpers = json.loads((etc / "credit-pd/docker/config.json").read_text())
    assert helpers == {"credHelpers": {"1.dkr": "ecr-login"}}
    daemon = json.loads((etc / "docker/daemon.json").read_text())
    assert daemon["log-opts"]["awslogs-group"] == "/credit-pd/service"


def test_keys_certificate_and_settings_are_on_the_volume(started: tuple[Path, list[str]]) -> None:
    root, _ = started
    assert (root / "etc/credit-pd").resolve() == root / "var/lib/credit-pd/etc"
    kept = root / "var/lib/credit-pd/etc/service.env"
    assert kept.read_text() == "of an older host\n"
    assert (root / "var/lib/credit-pd/etc").stat().st_mode & 0o777 == 0o750


DISKS = {"/": 30, "/var/lib/credit-pd": 85}  # percent


def test_every_start_says_how_full_the_disks_are(
    started: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, calls = started
    assert any(call.startswith("systemd-run") and "credit-pd-disk" in call for call in calls)
    assert any(call.startswith("apt-get") and "python3-boto3" in call for call in calls)
    told: list[dict[str, Any]] = []
    client = SimpleNamespace(put_metric_data=lambda **words: told.append(words))
    monkeypatch.setitem(sys.modules, "boto3", SimpleNamespace(client=lambda *_, **__: client))
    used = {path.replace("/var", f"{root}/var"): share for path, share in DISKS.items()}
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: SimpleNamespace(used=used[path], total=100)
    )
    script = root / "usr/local/bin/credit-pd-disk"
    runpy.run_path(str(script.rename(script.with_suffix(".py"))))
    [said] = told
    [metric] = said["MetricData"]
    assert (metric["Value"], metric["Unit"]) == (85, "Percent")
    alarm = dict(templates.resources("AWS::CloudWatch::Alarm"))["host/DiskFills"]
    assert alarm["Namespace"] == said["Namespace"]
    assert alarm["MetricName"] == metric["MetricName"]
    assert alarm.get("Dimensions", []) == metric.get("Dimensions", [])


def test_the_alarm_of_the_disk_rings_before_it_is_full_and_where_nothing_is_said() -> None:
    alarm = dict(templates.resources("AWS::CloudWatch::Alarm"))["host/DiskFills"]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert 50 <= alarm["Threshold"] <= 90
    assert alarm["Statistic"] == "Maximum"
    assert alarm["TreatMissingData"] == "breaching"


def test_the_assumptions_name_every_action_and_every_service() -> None:
    text = (templates.INFRA / "README.md").read_text().split("## What this rests on")[1]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert all("](https://" in line.split(" | ")[1] for line in lines)
    workflows = (templates.INFRA.parents[2] / ".github/workflows").glob("*.yml")
    used = {name for path in workflows for name in re.findall(r"uses: ([^@]+)@", path.read_text())}
    templated = "".join(path.read_text() for path in templates.INFRA.glob("*.yaml"))
    used |= set(re.findall(r"Type: (AWS::\w+)::", templated))
    assert len(used) > 20
    assert [name for name in sorted(used) if name not in text] == []


# Properties whose change replaces the resource, by "Update requires" of the documentation:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-ec2-instance.html
# (UserData and InstanceType of an instance on EBS: some interruptions), ...-ec2-volume.html.
REPLACING = {
    "Host": {
        *("AvailabilityZone", "BlockDeviceMappings", "CpuOptions", "EnclaveOptions"),
        *("HibernationOptions", "ImageId", "KeyName", "LaunchTemplate", "LicenseSpecifications"),
        *("NetworkInterfaces", "PlacementGroupName", "PrivateIpAddress", "SecurityGroups"),
        *("SubnetId", "Tenancy"),
    },
    "Ledger": {"AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId", "OutpostArn"},
}


def references(value: Any) -> set[str]:
    """Return what a part of a template refers to."""
    if isinstance(value, dict):
        named = {value["Ref"]} if "Ref" in value else set()
        named |= {str(value["Fn::GetAtt"]).partition(".")[0]} if "Fn::GetAtt" in value else set()
        return named.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_no_ordinary_update_replaces_the_host_or_its_volume() -> None:
    template = templates.load(templates.INFRA / "host.yaml")
    reached = set()
    for name, replacing in REPLACING.items():
        properties = template["Resources"][name]["Properties"]
        reached |= references([properties[each] for each in replacing & properties.keys()])
    assert reached == {"Image", "Subnet", "Zone"}
    for name in reached:
        assert "SSM::Parameter" not in template["Parameters"][name]["Type"]
        assert "Default" not in template["Parameters"][name]


def test_the_volume_can_be_detached_before_the_host_is_replaced() -> None:
    held = templates.load(templates.INFRA / "host.yaml")["Resources"]["LedgerOnHost"]
    assert held["Condition"] == "IsAttached"


def test_without_the_ledgers_volume_no_container_starts(started: tuple[Path, list[str]]) -> None:
    etc = started[0] / "etc"
    unit = (etc / "systemd/system/docker.service.d/credit-pd.conf").read_text()
    assert f"RequiresMountsFor={started[0]}/var/lib/credit-pd" in unit
    assert len((etc / "fstab").read_text().splitlines()) == 1


def test_host_files_with_another_hash_are_not_installed(tmp_path: Path) -> None:
    script = user_data(
        Ledger="-",
        HostFiles="0" * 64,
        ReleaseKey="-",
        Repository="-",
        Registry="-",
        Bucket="-",
        ServiceLog="-",
        **{"AWS::Region": "-"},
    )
    check = next(line for line in script.splitlines() if "sha256sum" in line)
    (tmp_path / "host.tar.gz").write_text("another")
    assert subprocess.run(["sh", "-ec", check], cwd=tmp_path, check=False).returncode != 0


def test_the_archive_of_the_readme_is_what_a_host_installs(tmp_path: Path) -> None:
    text = (templates.INFRA / "README.md").read_text()
    archive = next(line for line in text.splitlines() if line.startswith("git archive"))
    archive = archive.replace("host.tar.gz HEAD", f"{tmp_path}/host.tar.gz HEAD")
    subprocess.run(["sh", "-c", archive], cwd=templates.INFRA.parents[2], check=True)
    with tarfile.open(tmp_path / "host.tar.gz") as file:
        file.extractall(tmp_path, filter="data")
    install = [
        "sh",
        tmp_path / "release/deploy/host/install.sh",
        "1.dkr/credit-pd",
        tmp_path / "root",
    ]
    subprocess.run(install, check=True)
    installed = tmp_path / "root/opt/credit-pd"
    for package in ("release", "release/deploy", "release/deploy/host"):
        held = (installed / package / "__init__.py").read_text()
        assert held == (tmp_path / package / "__init__.py").read_text()
    command = ["python3", "-m", "release.deploy.host.deploy", "--help"]
    subprocess.run(command, cwd=installed, check=True, capture_output=True)


def test_the_readme_gives_every_parameter_that_has_no_default() -> None:
    text = (templates.INFRA / "README.md").read_text()
    for stack in ("foundation", "host"):
        given = templates.load(templates.INFRA / f"{stack}.yaml")["Parameters"]
        needed = [name for name, each in given.items() if "Default" not in each]
        assert [name for name in needed if f"{name}=" not in text] == []
