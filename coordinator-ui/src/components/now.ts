/** The moment, for what grows while one looks at it. */
import { useEffect, useState } from 'react'

const TICK_MS = 500

/** @param isTicking whether it is told anew from time to time. */
export function useNow(isTicking: boolean): number {
  const [nowMs, setNowMs] = useState(() => Date.now())
  useEffect(() => {
    if (!isTicking) return
    const timer = setInterval(() => setNowMs(Date.now()), TICK_MS)
    return () => clearInterval(timer)
  }, [isTicking])
  return nowMs
}
