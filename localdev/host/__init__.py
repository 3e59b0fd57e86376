"""The runtime host: runs this function app on the platform's own Python runtime, without Core Tools.

`python -m localdev.host` plays the part of the Azure Functions host for local development and tests: it loads the
official `azure-functions-runtime` package, which indexes and runs the app exactly as the platform's worker does, and
feeds it with HTTP requests, Event Grid deliveries and timer ticks. It imports nothing of the app.

It is a development tool: it listens on loopback only and refuses to start in Azure.

How a request travels::

    client --> connection --> dispatch --> relay ------> the worker's own uvicorn --> function
               (HTTP/1.1)     (routes,       |  `--> worker.start_http (the invocation, same id)
                               keys)         |
                                 |           `<------ response bytes, as they come
                                 |--> webhook (Event Grid) --> worker.invoke
                                 `--> admin                --> timers.fire --> worker.invoke

Deliberate differences from the real host: no extension bundles (only HTTP, Event Grid and timer triggers; no output
bindings), no past-due monitor for timers, a function that overruns `functionTimeout` is cancelled instead of
restarting the worker, and keys come from the environment (`HOST_FUNCTION_KEY`, `HOST_MASTER_KEY`).
"""
