// Writes a response's body to stdout. Exit code 0: it was whole; 22: it was a 503; 1: anything else.
import http from "node:http";
import http2 from "node:http2";

const [module, url] = process.argv.slice(2);

function fail(error) {
  console.error(String(error?.cause ?? error));
  process.exit(1);
}

function status(code) {
  if (code === 503) process.exit(22);
  if (code !== 200) fail(`status ${code}`);
}

const clients = {
  http() {
    const request = http.get(url, (response) => {
      status(response.statusCode);
      response.on("data", (data) => process.stdout.write(data));
      response.on("close", () => {
        if (!response.complete) fail("the response is not complete");
      });
      response.on("error", fail);
    });
    request.on("error", fail);
  },
  http2() {
    const { origin, pathname, search } = new URL(url);
    const session = http2.connect(origin);
    const stream = session.request({ ":path": pathname + search });
    let ended = false;
    session.on("error", fail);
    stream.on("error", fail);
    stream.on("response", (headers) => status(headers[":status"]));
    stream.on("data", (data) => process.stdout.write(data));
    stream.on("end", () => (ended = true));
    stream.on("close", () => {
      if (!ended || stream.rstCode !== 0) fail(`the stream was reset by ${stream.rstCode}`);
      session.close();
    });
  },
  async fetch() {
    const response = await fetch(url);
    status(response.status);
    for await (const data of response.body) process.stdout.write(data);
  },
};

try {
  await clients[module]();
} catch (error) {
  fail(error);
}
