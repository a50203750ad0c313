"""`advisor recommend`: options, exit codes, and a server that really runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor import files
from advisor.cli.main import run
from advisor.documents import Facts, Measurement, Recommendation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Advisor = Callable[..., tuple[int, str, str]]

EXAMPLES = Path(__file__).parent.parent / "examples"
APPS = Path(__file__).parent.parent / "apps"
FACTS = ("--facts", str(EXAMPLES / "facts.json"))
MEASURED = ("--measurement", str(EXAMPLES / "measurement.json"))


@pytest.fixture
def advisor(capsys: pytest.CaptureFixture[str]) -> Advisor:
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run(["recommend", *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        code = ended.value.code
        return code if isinstance(code, int) else 0, out, err

    return call


def read(text: str, *, is_json: bool = True) -> Recommendation:
    data = files.parse(text, name="stdout", is_json=is_json)
    return files.validate(Recommendation, data, name="stdout")


def value(rec: Recommendation, id_: str) -> object:
    return next(setting.value for setting in rec.settings if setting.id == id_)


def test_the_three_formats_say_the_same(advisor: Advisor) -> None:
    _, table, _ = advisor(*FACTS, *MEASURED)
    assert table.startswith("shop (shop.main:app) on web1\n")
    _, as_json, err = advisor(*FACTS, *MEASURED, "--json")
    assert err == ""
    assert as_json == advisor(*FACTS, *MEASURED, "--format", "json")[1]
    _, as_yaml, _ = advisor(*FACTS, *MEASURED, "--format", "yaml")
    assert read(as_json) == read(as_yaml, is_json=False)


def test_all_shows_what_stays_as_its_product_has_it(advisor: Advisor) -> None:
    short, long = advisor(*FACTS, *MEASURED)[1], advisor(*FACTS, *MEASURED, "--all")[1]
    assert "stay as their products have them; --all shows every one." in short
    assert "  preload_app " not in short
    assert "  preload_app " in long
    assert "--all" not in long


def test_what_cannot_be_rendered_is_not_promised(advisor: Advisor, tmp_path: Path) -> None:
    config = tmp_path / "advisor.yml"
    config.write_text(
        "app: {module: shop.main:app, interface: asgi}\nproxy: nginx\nstatic: {/: /srv/x}\n"
    )
    rec = tmp_path / "rec.yml"
    code, out, err = advisor(*FACTS, "--config", str(config), "-o", str(rec))
    assert code == 0, err
    assert "Set this by hand: advisor render has no files for: static./." in out
    assert "-o deploy" not in out


def test_what_manage_does_not_name_is_marked(advisor: Advisor, tmp_path: Path) -> None:
    config = tmp_path / "advisor.yml"
    text = "app: {module: shop.main:app, interface: asgi}\nserver: uvicorn\nredis: {role: cache}\n"
    config.write_text(text)
    code, out, _ = advisor(*FACTS, "--config", str(config))
    assert code == 0
    assert "add redis to manage in advisor.yml" in " ".join(out.split())
    config.write_text(text + "manage: [server, proxy, systemd, redis, sysctl]\n")
    assert "to manage in advisor.yml" not in " ".join(
        advisor(*FACTS, "--config", str(config))[1].split()
    )
    env = advisor(*FACTS, "--config", str(config), "--format", "env")[1]
    assert env.startswith("export WEB_CONCURRENCY=2\n")


@pytest.mark.parametrize("name", ["rec.yml", "rec.json"])
def test_o_writes_the_document_and_prints_the_table(
    advisor: Advisor, tmp_path: Path, name: str
) -> None:
    target = tmp_path / name
    code, out, err = advisor(*FACTS, *MEASURED, "-o", str(target))
    assert code == 0
    assert f"advisor render {target} -o deploy" in out
    assert str(target) in err
    assert value(files.read(Recommendation, target), "gunicorn.workers") == 2


def test_o_on_what_is_not_ours_is_refused_and_left(advisor: Advisor, tmp_path: Path) -> None:
    target = tmp_path / "notes.yml"
    target.write_text("precious\n")
    code, out, err = advisor(*FACTS, *MEASURED, "-o", str(target))
    assert (code, out) == (2, "")
    assert f"-o {target}: the file exists and is no advisor/recommendation document" in err
    assert target.read_text() == "precious\n"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--cpus", "nan"),
        ("--cpus", "-1"),
        ("--cpus", "0"),
        ("--cpus", "inf"),
        ("--cpus", "two"),
        ("--memory", "-5M"),
        ("--memory", "0"),
        ("--memory", "nan"),
        ("--memory", "lots"),
        ("--concurrency", "0"),
        ("--concurrency", "-3"),
        ("--concurrency", "1.5"),
        ("--concurrency", "nan"),
        ("--pid", "0"),
        ("--pid", "-7"),
        ("--format", "toml"),
        ("-o", "rec.txt"),
        ("--config", "no-such.yml"),
        ("--facts", "no-such.json"),
        ("--measurement", "no-such.json"),
    ],
)
def test_a_wrong_option_is_named(advisor: Advisor, option: str, text: str) -> None:
    code, out, err = advisor(*FACTS, f"{option}={text}" if option[1] == "-" else option + text)
    assert (code, out) == (2, "")
    assert (text if option.startswith("--") and text.startswith("no-such") else option) in err


def test_a_document_of_the_wrong_kind_is_refused_naming_schema(advisor: Advisor) -> None:
    for option, name in (("--facts", "measurement.json"), ("--measurement", "facts.json")):
        code, _, err = advisor(option, str(EXAMPLES / name))
        assert code == 2
        assert f"{name}:2: schema: should be" in err


def test_budgets(advisor: Advisor) -> None:
    out = advisor(*FACTS, *MEASURED, "--cpus", "0.25", "--memory", "700M", "--json")[1]
    assert value(read(out), "gunicorn.workers") == 1
    assert value(read(out), "systemd.memory_max") == 700 * 1024**2
    code, out, err = advisor(*FACTS, *MEASURED, "--memory", "64M")
    assert (code, out) == (3, "")
    assert "the budget is 64 MB (--memory)" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app: {module: shop}\nsever: gunicorn\n", "sever: unknown key"),
        ("app: {module: shop}\napp: {module: blog}\n", "duplicate key 'app'"),
        ("app: {module: shop}\nbudget: {cpus: .nan}\n", "budget.cpus"),
        ("app: {module: shop}\nbudget: {cpus: -2}\n", "budget.cpus"),
        ("app: {module: shop}\nbudget: {cpus: yes}\n", "budget.cpus"),
        ('app: {module: shop, name: "shop;"}\n', "app.name"),
        ('app: {module: shop, directory: "/srv/{{ x }}"}\n', "app.directory"),
        ('app: {module: shop}\ndomain: "shop\\nx"\n', "domain"),
        ('app: {module: shop}\nhosts: ["10.0.0.1"]\n', "hosts"),
        ("app: {module: shop}\npins: {gunicorn.wrokers: 4}\n", "gunicorn.wrokers"),
        ("- app\n", "expected a mapping"),
    ],
)
def test_a_wrong_advisor_yml_is_named_by_key(
    advisor: Advisor, tmp_path: Path, text: str, message: str
) -> None:
    config = tmp_path / "advisor.yml"
    config.write_text(text)
    code, out, err = advisor("--config", str(config))
    assert (code, out) == (2, "")
    assert message in err
    assert "advisor.yml" in err


def test_a_config_is_enough_where_nothing_runs(advisor: Advisor, tmp_path: Path) -> None:
    config = tmp_path / "advisor.yml"
    config.write_text("app: {module: never.heard.of:app, interface: wsgi}\n")
    code, out, _ = advisor("--config", str(config), "--json")
    assert code == 0
    assert value(read(out), "gunicorn.worker_class") == "gthread"


def test_a_config_is_never_picked_up_unasked(
    advisor: Advisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "advisor.yml").write_text("app: {module: never.heard.of:app}\n")
    monkeypatch.chdir(tmp_path)
    assert "never" not in advisor(*FACTS)[1]


def test_no_app_and_no_config_is_too_little(advisor: Advisor, tmp_path: Path) -> None:
    data = files.load(EXAMPLES / "facts.json") | {"servers": []}
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(data))
    code, out, err = advisor("--facts", str(facts))
    assert (code, out) == (4, "")
    assert "no app was given" in err
    assert "--config" in err


def test_measured_only(advisor: Advisor, tmp_path: Path) -> None:
    assert advisor(*FACTS, "--require-measured")[0] == 4
    assert advisor(*FACTS, *MEASURED, "--require-measured")[0] == 0
    lacking = tmp_path / "m.json"
    data = files.load(EXAMPLES / "measurement.json") | {"cpu_per_request_s": None}
    lacking.write_text(json.dumps(data))
    code, _, err = advisor(*FACTS, "--measurement", str(lacking), "--require-measured")
    assert code == 4
    assert "--require-measured" in err


def test_a_url_and_a_measurement_exclude_each_other(advisor: Advisor) -> None:
    code, _, err = advisor("http://127.0.0.1:9/", *MEASURED)
    assert code == 2
    assert "--measurement" in err


def test_a_url_that_refuses_and_one_that_is_none(advisor: Advisor, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        target = tmp_path / "rec.yml"
        assert advisor(url, "-o", str(target))[0] == 4
    assert not target.exists()
    for url in ("ftp://127.0.0.1/", "nonsense"):
        code, out, err = advisor(url)
        assert (code, out) == (2, "")
        assert url in err


def test_a_wrong_pin_is_said_before_anything_is_measured(advisor: Advisor, tmp_path: Path) -> None:
    config = tmp_path / "advisor.yml"
    config.write_text("app: {module: shop}\npins: {no.such: 4}\n")
    code, _, err = advisor("http://127.0.0.1:9/", "--config", str(config))
    assert code == 2
    assert "no.such" in err


def test_several_apps_need_a_choice(advisor: Advisor, tmp_path: Path) -> None:
    data = files.load(EXAMPLES / "facts.json")
    data["servers"].append(data["servers"][0] | {"pid": 900, "app": "blog:app", "workers": []})
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(data))
    code, out, _ = advisor("--facts", str(facts))
    assert code == 0
    assert "shop (shop.main:app) on web1" in out
    assert "blog (blog:app) on web1" in out
    for words in (("--json",), ("-o", str(tmp_path / "rec.yml"))):
        code, out, err = advisor("--facts", str(facts), *words)
        assert (code, out) == (2, "")
        assert "900  blog:app" in err
    assert not (tmp_path / "rec.yml").exists()
    chosen = advisor("--facts", str(facts), "--pid", "900", "--json")[1]
    assert read(chosen).app.module == "blog:app"


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """A real Gunicorn of two threads on a free port: its process, port and access log."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    log = tmp_path / "access.log"
    words = [
        *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"),
        *("--worker-class", "gthread", "--threads", "2", "--access-logfile", str(log)),
        *("--no-control-socket", "wsgi_app:app"),
    ]
    with (tmp_path / "gunicorn.log").open("wb") as out:
        process = subprocess.Popen(words, cwd=APPS, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 20
        while not Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text():
            assert process.poll() is None, (tmp_path / "gunicorn.log").read_text()
            assert time.monotonic() < deadline, "Gunicorn did not start a worker"
            time.sleep(0.05)
        yield process, port, log
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.daemon
def test_a_running_server_is_seen_without_a_request(
    advisor: Advisor, gunicorn: tuple[subprocess.Popen[bytes], int, Path]
) -> None:
    process, _, log = gunicorn
    code, out, _ = advisor("--pid", str(process.pid), "--json")
    assert code == 0
    rec = read(out)
    assert (rec.app.module, rec.app.interface) == ("wsgi_app:app", "wsgi")
    assert rec.intent["app.directory"].value == str(APPS)
    assert rec.intent["server"].from_ == "observed"
    assert value(rec, "gunicorn.control_socket_disable") is True
    assert rec.prediction.throughput_rps is None
    assert value(rec, "gunicorn.worker_class") == "gthread"
    assert not log.exists() or log.read_text() == ""


@pytest.mark.daemon
def test_a_worker_s_pid_is_as_good_and_a_stranger_s_is_refused(
    advisor: Advisor, gunicorn: tuple[subprocess.Popen[bytes], int, Path]
) -> None:
    process = gunicorn[0]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert read(advisor("--pid", children[0], "--json")[1]).app.module == "wsgi_app:app"
    code, _, err = advisor("--pid", str(os.getpid()))
    assert code == 2
    assert f"--pid {os.getpid()}" in err


@pytest.mark.daemon
def test_the_limits_that_count_are_those_of_the_server_s_own_process(
    advisor: Advisor,
    gunicorn: tuple[subprocess.Popen[bytes], int, Path],
    not_run: Callable[[str], NoReturn],
) -> None:
    """Of the master, where the new workers are born, whoever of them was named."""
    process = gunicorn[0]
    cpus = os.sched_getaffinity(0)
    if len(cpus) < 2:
        not_run("needs two CPUs")
    os.sched_setaffinity(process.pid, {min(cpus)})
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(os.sched_getaffinity(int(children[0]))) == len(cpus)
    rec = read(advisor("--pid", children[0], "--json")[1])
    workers = next(each for each in rec.settings if each.id == "gunicorn.workers")
    assert workers.inputs["cpu.effective"] == 1


def test_a_process_that_is_gone(advisor: Advisor) -> None:
    gone = str(2**22 + 1)
    code, _, err = advisor("--pid", gone)
    assert code == 2
    assert f"--pid {gone}" in err


def test_without_a_url_nothing_of_the_load_client_is_imported() -> None:
    script = (
        "import sys\n"
        "from advisor.cli.main import run\n"
        "try:\n"
        f"    run(['recommend', '--facts', {str(EXAMPLES / 'facts.json')!r}])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'httpx', 'uvloop', 'httptools', 'advisor.probe'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stderr == "[]\n"


def test_the_examples_are_of_one_app() -> None:
    facts = files.read(Facts, EXAMPLES / "facts.json")
    measured = files.read(Measurement, EXAMPLES / "measurement.json")
    assert measured.target.pid == facts.servers[0].pid
