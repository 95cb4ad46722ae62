import asyncio
import http.client
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentloop.errors import BadInput
from agentloop.models.faults import FaultServer, table_reply

BODY = {"model": "m", "messages": [{"role": "user", "content": "how many users"}]}


def post(address, body=None, timeout=10):
    data = json.dumps({**BODY, **(body or {})}).encode()
    with urllib.request.urlopen(f"{address}/chat/completions", data=data, timeout=timeout) as answer:
        return json.loads(answer.read())


def texts(completion):
    return [choice["message"]["content"] for choice in completion["choices"]]


def test_the_same_messages_and_seed_get_the_same_distinct_samples():
    with FaultServer() as server:
        first, again = post(server.address, {"n": 3, "seed": 1}), post(server.address, {"n": 3, "seed": 1})
        other = post(server.address, {"n": 3, "seed": 2})
    assert texts(first) == texts(again) and len(set(texts(first))) == 3
    assert not set(texts(first)) & set(texts(other))


def test_a_table_answers_the_last_message_and_leaves_the_rest():
    with FaultServer(table_reply({"how many users": ["SELECT 1"]})) as server:
        assert texts(post(server.address)) == ["SELECT 1"]
        other = {"messages": [{"role": "user", "content": "else"}]}
        assert texts(post(server.address, other))[0].startswith("reply ")


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("401", 401)])
def test_a_scripted_status_comes_once(fault, status):
    with FaultServer(faults=[fault]) as server:
        with pytest.raises(urllib.error.HTTPError) as caught:
            post(server.address)
        assert caught.value.code == status
        assert len(texts(post(server.address))) == 1


def test_a_rate_limit_can_say_when_to_come_back():
    with FaultServer(faults=["429:0.25"]) as server:
        with pytest.raises(urllib.error.HTTPError) as caught:
            post(server.address)
        assert caught.value.headers["Retry-After"] == "0.25"


def test_malformed_is_no_json_and_cut_ends_too_soon():
    with FaultServer(faults=["malformed", "cut"]) as server:
        with pytest.raises(json.JSONDecodeError):
            post(server.address)
        with pytest.raises(http.client.IncompleteRead):
            post(server.address)


def test_fewer_and_empty_leave_samples_out():
    with FaultServer(faults=["fewer", "empty"]) as server:
        assert len(texts(post(server.address, {"n": 3}))) == 2
        assert texts(post(server.address, {"n": 3})) == []


def test_a_hang_keeps_the_caller_waiting():
    with FaultServer(faults=["hang", "hang:0.2"]) as server:
        with pytest.raises(TimeoutError):
            post(server.address, timeout=0.2)
        began = time.monotonic()
        assert len(texts(post(server.address))) == 1
        assert time.monotonic() - began >= 0.2
        deadline = time.monotonic() + 5
        while not server.requests[1]["answered"] and time.monotonic() < deadline:
            time.sleep(0.01)  # the server notes it only once the answer has left
        assert [request["answered"] for request in server.requests] == [False, True]


def test_faults_can_be_chosen_by_content():
    with FaultServer(faults=lambda body: "500" if body.get("seed") == 13 else "ok") as server:
        post(server.address, {"seed": 12})
        with pytest.raises(urllib.error.HTTPError):
            post(server.address, {"seed": 13})


def test_an_unknown_fault_is_named_with_those_that_are_known():
    with pytest.raises(BadInput, match="no fault named 'flood'; known: ok, malformed"):
        FaultServer(faults=["flood"])


def test_requests_are_counted_by_what_they_say():
    with FaultServer() as server:
        for seed in (1, 2, 1):
            post(server.address, {"seed": seed})
        assert server.count == 3
        assert sorted(server.counts().values()) == [1, 2]
        root = server.address.removesuffix("/v1")
        seen = json.loads(urllib.request.urlopen(f"{root}/requests?since=1").read())
        assert seen["count"] == 3
        assert [request["body"]["seed"] for request in seen["requests"]] == [2, 1]
        assert json.loads(urllib.request.urlopen(f"{root}/counts").read()) == server.counts()


def test_a_stream_tells_each_choice_and_ends():
    with FaultServer(faults=["ok", "cut"]) as server:
        data = json.dumps({**BODY, "stream": True}).encode()
        whole = urllib.request.urlopen(f"{server.address}/chat/completions", data=data).read().decode()
        assert whole.startswith("data: {") and whole.rstrip().endswith("data: [DONE]")
        with pytest.raises(http.client.IncompleteRead):
            urllib.request.urlopen(f"{server.address}/chat/completions", data=data).read()


def test_bad_requests_get_an_answer_too():
    with FaultServer() as server:
        for path, data in (("/chat/completions", b"{"), ("/nowhere", b"{}")):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(server.address + path, data=data)
            assert caught.value.code in (400, 404)
        assert server.count == 0


def test_connections_stay_open_between_requests():
    with FaultServer() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        for _ in range(3):
            connection.request("POST", "/v1/chat/completions", json.dumps(BODY))
            assert connection.getresponse().read()
            assert connection.sock is not None
        connection.close()


def test_hundreds_of_requests_are_answered_at_the_same_time():
    with FaultServer(delay_seconds=0.3) as server, ThreadPoolExecutor(200) as threads:
        began = time.monotonic()
        seeds = range(200)
        answers = list(threads.map(lambda seed: post(server.address, {"seed": seed}, timeout=30), seeds))
        took = time.monotonic() - began
    assert len({texts(answer)[0] for answer in answers}) == 200
    assert took < 20, "one after another would take a minute"


def test_it_runs_as_a_process_of_its_own():
    command = [sys.executable, "-m", "agentloop.models.faults", "--port", "0", "--faults", "503,ok"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        with pytest.raises(urllib.error.HTTPError):
            post(address)
        assert len(texts(post(address))) == 1
        seen = json.loads(urllib.request.urlopen(address.removesuffix("/v1") + "/requests").read())
        assert [request["fault"] for request in seen["requests"]] == ["503", "ok"]
    finally:
        process.terminate()
        process.wait(10)


def test_it_can_be_served_inside_a_loop_that_runs_already():
    async def talk():
        server, ready = FaultServer(), asyncio.Event()
        serving = asyncio.create_task(server.serve(ready.set))
        await ready.wait()
        completion = await asyncio.to_thread(post, server.address)
        serving.cancel()
        return texts(completion)

    assert len(asyncio.run(talk())) == 1
