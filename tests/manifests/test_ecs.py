#!/usr/bin/env python3
"""The CloudFormation template: its rules, and whether its values fit together."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import manifest_tools
from manifest_tools import BIN, ROOT, program_options

YAML, NO_YAML = manifest_tools.python_packages("yaml")
CFN_LINT, NO_CFN_LINT = manifest_tools.python_packages("cfnlint")
if YAML:
    import yaml

TEMPLATE = ROOT + "/deploy/ecs/fantail.yaml"
NO_VALUE = {"Ref": "AWS::NoValue"}
TARGETS = {"coordinator": "CoordinatorTargets", "worker": "WorkerTargets"}


def load_template():
    """Returns the template as objects: `!Ref X` becomes {"Ref": "X"}, and so on."""
    class Loader(yaml.SafeLoader):
        pass

    def function(loader, name, node):
        construct = {"scalar": loader.construct_scalar, "sequence": loader.construct_sequence,
                     "mapping": loader.construct_mapping}[node.id]
        return {name: construct(node) if node.id == "scalar" else construct(node, deep=True)}
    Loader.add_multi_constructor("!", function)
    with open(TEMPLATE, encoding="utf-8") as file:
        return yaml.load(file, Loader)


def decided(value, condition, holds):
    """Returns a part of the template with each `If` of this condition replaced by its result, as CloudFormation does."""
    if isinstance(value, dict):
        if isinstance(value.get("If"), list):
            name, *results = value["If"]
            results = [decided(result, condition, holds) for result in results]
            return results[0 if holds else 1] if name == condition else {"If": [name, *results]}
        return {name: decided(member, condition, holds) for name, member in value.items()}
    if isinstance(value, list):
        return [member for member in (decided(m, condition, holds) for m in value) if member != NO_VALUE]
    return value


@unittest.skipUnless(CFN_LINT, NO_CFN_LINT)
class Lint(unittest.TestCase):
    def test_cfn_lint_is_clean(self):
        lint = "from cfnlint.runner import main; main()"
        done = subprocess.run([sys.executable, "-c", lint, TEMPLATE], capture_output=True, text=True,
                              env=manifest_tools.python_environment())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class TemplateTest(unittest.TestCase):
    """The template of a stack with or without a job store."""

    job_store = False

    @classmethod
    def setUpClass(cls):
        cls.template = decided(load_template(), "HasJobStore", cls.job_store)
        cls.resources = cls.template["Resources"]
        cls.containers = {c["Name"]: c for r in cls.resources.values() if r["Type"] == "AWS::ECS::TaskDefinition"
                          for c in r["Properties"]["ContainerDefinitions"] if c["Essential"]}
        cls.environments = {name: {e["Name"]: e["Value"] for e in c["Environment"]} for name, c in cls.containers.items()}

    def properties(self, name):
        return self.resources[name]["Properties"]


@unittest.skipUnless(YAML, NO_YAML)
class Life(TemplateTest):
    def test_both_services_are_there(self):
        self.assertEqual(set(self.containers), {"coordinator", "worker"})

    def test_the_balancers_close_idle_connections_before_the_services_do(self):
        balancers = [r["Properties"] for r in self.resources.values() if r["Type"].endswith("::LoadBalancer")]
        idle = [float(a["Value"]) for balancer in balancers for a in balancer["LoadBalancerAttributes"]
                if a["Key"] == "idle_timeout.timeout_seconds"]
        self.assertEqual(len(idle), 2)
        for name, env in self.environments.items():
            self.assertGreater(float(env["FANTAIL_KEEPALIVE_TIMEOUT_S"]), max(idle) + 30, name)

    def test_stop_timeout_and_deregistration_cover_delay_and_drain(self):
        for name, env in self.environments.items():
            delay, drain = float(env["FANTAIL_SHUTDOWN_DELAY_S"]), float(env["FANTAIL_DRAIN_S"])
            self.assertGreaterEqual(self.containers[name]["StopTimeout"], delay + drain + 5)
            self.assertLessEqual(self.containers[name]["StopTimeout"], 120, "Fargate allows no more")
            attributes = {a["Key"]: a["Value"] for a in self.properties(TARGETS[name])["TargetGroupAttributes"]}
            seconds = float(attributes["deregistration_delay.timeout_seconds"])
            self.assertGreaterEqual(seconds, delay)
            self.assertLessEqual(seconds, delay + drain)

    def test_the_delay_is_longer_than_the_balancer_takes_to_notice(self):
        for name, env in self.environments.items():
            group = self.properties(TARGETS[name])
            noticed = (group["HealthCheckIntervalSeconds"] * group["UnhealthyThresholdCount"]
                       + group["HealthCheckTimeoutSeconds"])
            self.assertGreaterEqual(float(env["FANTAIL_SHUTDOWN_DELAY_S"]), noticed)

    def test_a_service_of_one_task_can_be_replaced_without_a_gap(self):
        for name in ("CoordinatorService", "WorkerService"):
            rule = self.properties(name)["DeploymentConfiguration"]
            at_least, at_most = -(-rule["MinimumHealthyPercent"] // 100), rule["MaximumPercent"] // 100  # rounded as ECS does
            self.assertGreaterEqual(at_least, 1, name)
            self.assertGreater(at_most, at_least, name)
            self.assertEqual(rule["DeploymentCircuitBreaker"], {"Enable": True, "Rollback": True}, name)

    def test_both_services_run_where_and_on_what_the_parameters_say(self):
        tasks = [r["Properties"] for r in self.resources.values() if r["Type"] == "AWS::ECS::TaskDefinition"]
        self.assertEqual([t["RuntimePlatform"]["CpuArchitecture"] for t in tasks], [{"Ref": "CpuArchitecture"}] * 2)
        for name in ("CoordinatorService", "WorkerService"):
            network = self.properties(name)["NetworkConfiguration"]["AwsvpcConfiguration"]
            self.assertEqual(network["AssignPublicIp"], {"Ref": "AssignPublicIp"})
        groups = [r["Properties"] for r in self.resources.values() if r["Type"].startswith("AWS::EC2::SecurityGroup")]
        open_to = [g["GroupDescription"] for g in groups if g.get("SecurityGroupIngress")] + [
            g["FromPort"] for g in groups if "CidrIp" in g]
        self.assertEqual(open_to, ["fantail - load balancer of the clients"], "tasks may have public addresses")

    def test_environment_variables_are_options_of_the_programs(self):
        for name, env in self.environments.items():
            known = program_options("fantail-" + name)
            if known is None:
                self.skipTest(f"no programs in {BIN}")
            self.assertLessEqual({n for n in env if n.startswith("FANTAIL_")}, known)

    def test_a_worker_may_protect_tasks_and_nothing_else(self):
        tasks = {r["Properties"]["ContainerDefinitions"][0]["Name"]: r["Properties"] for r in self.resources.values()
                 if r["Type"] == "AWS::ECS::TaskDefinition"}
        self.assertNotIn("TaskRoleArn", tasks["coordinator"])
        self.assertEqual(tasks["worker"]["TaskRoleArn"], {"GetAtt": "WorkerRole.Arn"})
        [policy] = self.properties("WorkerRole")["Policies"]
        [statement] = policy["PolicyDocument"]["Statement"]
        self.assertEqual(set(statement["Action"]), {"ecs:GetTaskProtection", "ecs:UpdateTaskProtection"})


class LifeWithJobStore(Life):
    job_store = True


@unittest.skipUnless(YAML, NO_YAML)
class WalkThrough(TemplateTest):
    def test_the_steps_name_parameters_and_outputs_of_the_template(self):
        with open(ROOT + "/docs/deploy-ecs.md", encoding="utf-8") as file:
            text = file.read()
        outputs = set(re.findall(r"\$\(output (\w+)\)", text))
        given = {name for command in re.findall(r"--parameter-overrides((?:\s+(?:\\\n\s*)?\w+=\S+)+)", text)
                 for name in re.findall(r"(\w+)=", command)}
        self.assertGreater(len(outputs), 4)
        self.assertLessEqual(outputs, set(self.template["Outputs"]))
        self.assertLessEqual(given, set(self.template["Parameters"]))
        first = {name for name, p in self.template["Parameters"].items() if "Default" not in p}
        self.assertLessEqual(first, given, "what has no default must be given in the first step")


@unittest.skipUnless(YAML, NO_YAML)
class Access(TemplateTest):
    def secrets_of(self, name):
        """Returns {variable: (the resource or the parameter with the secret, the option that reads the file of the
        secret)}."""
        if name == "worker":
            return {"WORKER_TOKENS": ("WorkerTokens", "FANTAIL_TOKEN_FILE")}
        return {"CLIENT_TOKENS": ("ClientTokens", "FANTAIL_TOKEN_FILE"),
                "WORKER_TOKENS": ("WorkerTokens", "FANTAIL_WORKER_TOKEN_FILE"),
                **({"JOB_STORE_URL": ("JobStoreUrlSecretArn", "FANTAIL_STORE_FILE")} if self.job_store else {})}

    def value_of(self, secret):
        if secret == "JobStoreUrlSecretArn":
            return "postgresql://fantail:secret@127.0.0.1:9/jobs\n"
        rule = self.properties(secret)["GenerateSecretString"]
        self.assertTrue(rule["ExcludePunctuation"])
        return "aB3" * (rule["PasswordLength"] // 3)

    def before(self, name):
        """Returns the second container of the service's task definition. The second container runs before the service's
        own container starts."""
        [task] = [r["Properties"] for r in self.resources.values() if r["Type"] == "AWS::ECS::TaskDefinition"
                  and r["Properties"]["ContainerDefinitions"][0]["Name"] == name]
        [_, first] = task["ContainerDefinitions"]
        return first

    def test_services_get_their_secrets_as_files_and_nobody_is_insecure(self):
        for name in ("coordinator", "worker"):
            service, first, env = self.containers[name], self.before(name), self.environments[name]
            secrets = self.secrets_of(name)
            self.assertNotIn("Secrets", service)
            self.assertNotIn("FANTAIL_INSECURE", env)
            self.assertEqual(service["DependsOn"], [{"ContainerName": first["Name"], "Condition": "SUCCESS"}])
            self.assertEqual((first["Essential"], first["Image"]), (False, service["Image"]))
            self.assertEqual(first["MountPoints"], service["MountPoints"])
            self.assertEqual({s["Name"]: s["ValueFrom"] for s in first["Secrets"]},
                             {variable: {"Ref": secret} for variable, (secret, _) in secrets.items()})
            word, *pairs = first["Command"]
            self.assertEqual(word, "write-secret")
            self.assertEqual(pairs[::2], [s["Name"] for s in first["Secrets"]])
            self.assertEqual(dict(zip(pairs[::2], pairs[1::2])),
                             {variable: env[option] for variable, (_, option) in secrets.items()})
            self.assertEqual("FANTAIL_STORE_FILE" in env, self.job_store and name == "coordinator")

    def test_the_programs_take_the_command_and_the_secrets(self):
        for name in self.containers:
            program = f"{BIN}/fantail-{name}"
            if not os.access(program, os.X_OK):
                self.skipTest(f"no programs in {BIN}")
            with tempfile.TemporaryDirectory() as folder:
                command = [word.replace("/tmp", folder) for word in self.before(name)["Command"]]
                env = dict(os.environ)
                for secret in self.before(name)["Secrets"]:
                    env[secret["Name"]] = self.value_of(secret["ValueFrom"]["Ref"])
                subprocess.run([program, *command], env=env, check=True, timeout=60)
                for path in command[2::2]:
                    self.assertTrue(os.path.exists(path), path)

    def test_only_these_secrets_can_be_read(self):
        [policy] = self.properties("ExecutionRole")["Policies"]
        [statement] = policy["PolicyDocument"]["Statement"]
        self.assertEqual(statement["Action"], "secretsmanager:GetSecretValue")
        self.assertEqual(statement["Resource"], [{"Ref": secret} for secret, _ in self.secrets_of("coordinator").values()])

    def test_tokens_do_not_cross_the_internet_in_the_clear(self):
        rule = self.template["Rules"]["TokensTravelEncrypted"]
        self.assertEqual(rule["RuleCondition"], {"Equals": [{"Ref": "Scheme"}, "internet-facing"]})
        self.assertEqual(rule["Assertions"][0]["Assert"], {"Not": [{"Equals": [{"Ref": "CertificateArn"}, ""]}]})


class AccessWithJobStore(Access):
    job_store = True

    def test_the_parameter_is_the_complete_arn_of_one_secret_or_empty(self):
        parameter = self.template["Parameters"]["JobStoreUrlSecretArn"]
        self.assertEqual(parameter["Default"], "")
        self.assertEqual(self.template["Conditions"]["HasJobStore"], {"Not": [{"Equals": [{"Ref": "JobStoreUrlSecretArn"}, ""]}]})
        arn = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:fantail/jobs"
        for text, good in (("", True), (arn + "-a1B2c3", True), (arn, False), (arn + "-a1B2c3:url::", False), (arn + "*-a1B2c3", False),
                           ("fantail/jobs-a1B2c3", False), ("*", False)):
            self.assertEqual(bool(re.fullmatch(parameter["AllowedPattern"], text)), good, text)

    def test_the_service_starts_with_the_files_of_the_secrets(self):
        program = f"{BIN}/fantail-coordinator"
        if not os.access(program, os.X_OK):
            self.skipTest(f"no programs in {BIN}")
        with tempfile.TemporaryDirectory() as folder:
            values = {v: self.value_of(secret) for v, (secret, _) in self.secrets_of("coordinator").items()}
            command = [word.replace("/tmp", folder) for word in self.before("coordinator")["Command"]]
            subprocess.run([program, *command], env={**os.environ, **values}, check=True, timeout=60)
            files = {option: self.environments["coordinator"][option].replace("/tmp", folder)
                     for _, option in self.secrets_of("coordinator").values()}
            status, log = manifest_tools.start_and_end("fantail-coordinator", **files)
            self.assertEqual(status, 0, log)


@unittest.skipUnless(YAML, NO_YAML)
class Scaling(TemplateTest):
    def emf_environment(self):
        """Returns the FANTAIL_EMF variables of the coordinator in the template, with a word in place of each
        reference."""
        env = {n: v if isinstance(v, str) else "name" for n, v in self.environments["coordinator"].items()}
        return {n: v for n, v in env.items() if n.startswith("FANTAIL_EMF")}

    def line(self):
        """Returns the first metrics line of a coordinator that has emf_environment()."""
        program = f"{BIN}/fantail-coordinator"
        if not os.access(program, os.X_OK):
            self.skipTest(f"no programs in {BIN}")
        env = {k: v for k, v in os.environ.items() if not k.startswith("FANTAIL_")} | self.emf_environment()
        service = subprocess.Popen([program, "--port", "0", "--admin-port", "0", "--emf-period-s", "1"], env=env,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            return json.loads(service.stdout.readline())
        finally:
            service.terminate()
            service.communicate(timeout=60)

    def own_metrics(self):
        """Returns every metric of fantail that a policy or an alarm uses: (name, names of its dimensions, period)."""
        def walk(value):
            if isinstance(value, dict):
                if value.get("Namespace") == "fantail":
                    yield value
                value = list(value.values())
            if isinstance(value, list):
                for one in value:
                    yield from walk(one)
        return [(m["MetricName"], [d["Name"] for d in m["Dimensions"]], [d["Value"] for d in m["Dimensions"]], m.get("Period", 60))
                for m in walk(self.resources)]

    def test_policies_and_alarms_look_at_what_a_coordinator_prints(self):
        line = self.line()
        [directive] = line["_aws"]["CloudWatchMetrics"]
        self.assertEqual(directive["Namespace"], "fantail")
        printed = {metric["Name"] for metric in directive["Metrics"]}
        used = self.own_metrics()
        self.assertEqual({name for name, *_ in used}, {"demand_slots", "unserved_slots"})
        env = self.environments["coordinator"]
        for name, dimensions, values, period in used:
            self.assertIn(name, printed)
            self.assertEqual([dimensions], directive["Dimensions"])
            self.assertEqual(values, [env["FANTAIL_EMF_CLUSTER"], env["FANTAIL_EMF_SERVICE"]])
            self.assertEqual(period % int(env["FANTAIL_EMF_PERIOD_S"]), 0)

    def test_the_sum_of_a_minute_is_divided_by_its_lines(self):
        metrics = self.properties("WorkerDemandPolicy")["TargetTrackingScalingPolicyConfiguration"][
            "CustomizedMetricSpecification"]["Metrics"]
        [expression] = [m["Expression"] for m in metrics if "Expression" in m]
        lines = int(re.fullmatch(r"lines / (\d+) / IF\(workers > 0, workers, 1\)", expression)[1])
        self.assertEqual(lines * int(self.environments["coordinator"]["FANTAIL_EMF_PERIOD_S"]), 60)
        self.assertEqual([m["Id"] for m in metrics if m["ReturnData"]], ["perworker"])
        self.assertEqual({m["Id"]: m["MetricStat"]["Stat"] for m in metrics if "MetricStat" in m},
                         {"lines": "Sum", "workers": "Average"})

    def test_a_worker_is_worth_the_processors_it_has(self):
        slots = {cpu: numbers["Slots"] for cpu, numbers in self.template["Mappings"]["Worker"].items()}
        self.assertEqual(slots, {cpu: max(1, int(cpu) // 1024) for cpu in
                                 self.template["Parameters"]["WorkerCpu"]["AllowedValues"]})

    def test_a_fleet_at_zero_comes_back_before_the_jobs_give_up(self):
        alarm, policy = self.properties("WorkerFromZeroAlarm"), self.properties("WorkerFromZeroPolicy")
        self.assertEqual(alarm["AlarmActions"], [{"Ref": "WorkerFromZeroPolicy"}])
        steps = policy["StepScalingPolicyConfiguration"]
        self.assertEqual(steps["AdjustmentType"], "ChangeInCapacity", "an exact capacity could remove workers")
        self.assertTrue(all(step["ScalingAdjustment"] > 0 for step in steps["StepAdjustments"]))
        wait = float(self.environments["coordinator"]["FANTAIL_WORKER_WAIT_S"])
        self.assertGreaterEqual(wait, alarm["Period"] * alarm["EvaluationPeriods"] + 2 * steps["Cooldown"] + 120)


if __name__ == "__main__":
    unittest.main()
