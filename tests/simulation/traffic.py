"""What users and pipelines do to the storage account."""

from __future__ import annotations

from tests.simulation.world import World

#: The directories that blobs lie in, where there are any.
CASES = ("a", "b")


class Traffic:
    """Changes of blobs, in bursts and with pauses.

    Args:
        world: Where.
        changes: How many.
        silent: Share of changes that raise no event: containers deleted, blobs undeleted.
        overwrites: Share of changes that overwrite several of the blobs that are there, at once.
        poison: Whether there may be names that the table never takes.
        pace: Seconds between changes, about; 0: bursts and pauses.
        directories: Share of changes that rename or delete a directory as a whole.
        names: How many names a directory has; 0: a few, by chance.
    """

    def __init__(
        self,
        world: World,
        changes: int,
        *,
        silent: float = 0.0,
        overwrites: float = 0.0,
        poison: bool = True,
        pace: float = 0.0,
        directories: float = 0.0,
        names: int = 0,
    ) -> None:
        self._world = world
        self._random = world.random
        self._left = changes
        self._silent = silent
        self._overwrites = overwrites
        self._pace = pace
        self._directories = directories
        self._names = names or self._random.choice([3, 6, 12])
        self._name = self._random.choice(["{}.jpg", "{}.jpg", "{} ü#%?.jpg", "{}%41.jpg", "{}\uffff.jpg"])
        self._renames = self._random.choice([0.0, 0.0, 0.1]) if not directories else 0.3
        self._poison = self._random.choice([0.0, 0.0, 0.03]) if poison else 0.0

    @property
    def is_over(self) -> bool:
        """Whether all of it has happened."""
        return self._left <= 0

    def begin(self) -> None:
        """Let the first change happen soon, and the others after it."""
        self._world.network.service.call_later(self._pause(), self._next)

    def run(self) -> None:
        """Let all of it happen."""
        self.begin()
        self._world.run_until(lambda: self.is_over, 86_400, "the traffic ends")

    def _next(self) -> None:
        self._left -= 1
        dice = self._random.random()
        if self._random.random() < self._directories:
            self._change_directory()
        elif dice < self._silent:
            self._change_silently()
        elif dice < self._silent + self._overwrites:
            self._overwrite_several()
        else:
            self._change()
        if self._left > 0:
            self._world.network.service.call_later(self._pause(), self._next)

    def _pause(self) -> float:
        dice = self._random.random()
        if self._pace:
            return 2 * self._pace * dice
        if dice < 0.8:
            return 0.03 * self._random.random()
        return self._random.random() * (1 if dice < 0.95 else 100)

    def _path(self, folder: str | None = None) -> str:
        name = self._name.format(int(self._random.random() * self._names))
        if self._directories:
            name = f"{self._random.choice(CASES)}/{name}"
        return f"{folder or self._random.choice(self._world.containers)}/{name}"

    def _change(self) -> None:
        account, random = self._world.account, self._random
        path, dice = self._path(), random.random()
        if dice < self._poison / 2:
            self._world.grid.take(f'{{"eventType": "Unheard.Of", "id": "{random.random()}"}}', [], is_countable=False)
        elif dice < self._poison:
            account.put(path.replace("/", "/poison"))
        elif dice < 0.05:
            for _ in range(random.randint(2, 6)):  # an overwrite storm
                self._world.stats["overwrites"] += path in account.blobs
                account.put(path)
        elif dice < 0.3 and path in account.blobs:
            self._move(path, self._path())
        elif dice < 0.65 and path in account.blobs:
            account.delete(path)
        else:
            self._world.stats["overwrites"] += path in account.blobs
            account.put(path)

    def _move(self, source: str, destination: str) -> None:
        account = self._world.account
        if source == destination:
            return
        self._world.stats["moves"] += 1
        if self._random.random() < self._renames:
            account.rename(source, destination)
            return
        account.put(destination)
        account.delete(source)

    def _change_directory(self) -> None:
        world, random = self._world, self._random
        source, destination = (f"{random.choice(world.containers)}/{random.choice(CASES)}" for _ in range(2))
        world.stats["directory events"] += 1
        if random.random() < 0.5:
            world.account.delete_directory(source)
        elif source != destination and not world.account.under(destination):
            world.account.rename_directory(source, destination)

    def _overwrite_several(self) -> None:
        account, random = self._world.account, self._random
        there = list(account.blobs)
        for path in random.sample(there, min(len(there), random.randint(2, 8))):
            self._world.stats["overwrites"] += 1
            account.put(path)

    def _change_silently(self) -> None:
        world, account = self._world, self._world.account
        if self._random.random() < 0.3:
            container = self._random.choice(world.containers)
            world.stats["containers deleted"] += 1
            world.checker.drifting.update(path for path in world.checker.present if path.startswith(f"{container}/"))
            account.delete_container(container)
            return
        path = self._path()
        if path not in account.blobs:
            world.stats["undeleted"] += 1
            world.checker.drifting.add(path)
            account.appear(path)
